"""The page of the benchmarks names each that there is, and `make bench` runs only those."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAMS = {file.stem for file in (ROOT / "benchmarks").glob("*.py") if "__main__" in file.read_text()}


def named(file: str) -> set[str]:
    return set(re.findall(r"python -m benchmarks\.(\w+)", (ROOT / file).read_text()))


def test_each_has_a_row():
    assert named("benchmarks/README.md") == PROGRAMS


def test_make_and_the_readme_name_those_that_there_are():
    assert named("Makefile") < PROGRAMS
    assert named("README.md") < PROGRAMS
    assert named("worker/threads.py") < PROGRAMS
