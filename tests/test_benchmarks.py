"""The page of the benchmarks names each that there is, and `make bench` runs only those."""

import json
import re
from pathlib import Path

from benchmarks.sides import queue

ROOT = Path(__file__).parents[1]
PROGRAMS = {file.stem for file in (ROOT / "benchmarks").glob("*.py") if "__main__" in file.read_text()}


def named(file: str) -> set[str]:
    return set(re.findall(r"python -m benchmarks\.(\w+)", (ROOT / file).read_text()))


def test_each_has_a_row():
    assert named("benchmarks/README.md") == PROGRAMS


def test_make_and_the_manual_name_those_that_there_are():
    assert named("Makefile") < PROGRAMS
    assert named("docs/figures.md") | named("docs/checks.md") | named("docs/prompts.md") < PROGRAMS
    assert named("worker/engine/processors.py") < PROGRAMS


def test_a_side_makes_the_same_pictures_turn_after_turn(tmp_path: Path):
    with queue(tmp_path / "side", worker=False) as side:
        for _ in range(2):
            side.enqueue(3)
        assert [batch["total"] for batch in json.loads(side.producer("status", "--json"))] == [3, 3]
