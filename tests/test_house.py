"""The house is as `docs/architecture.md` says, and stays small enough to be found one's way in."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("checks", "models", "producer", "worker")
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
FOLDERS = sorted({path.parent for path in MODULES})
MOST_SIBLINGS, MOST_LINES, LONGEST_WAY = 16, 400, 40


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_modules_that_the_docs_name_are_there(file):
    named = re.findall(r"`((?:checks|models|producer|worker|tests|benchmarks)/[\w/]+\.(?:py|md))`", file.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_way_of_a_prompt_is_short_and_leads_over_each_module_once():
    (way,) = re.findall(r"## The way of a prompt\n(.*?)\n## ", (ROOT / "docs/architecture.md").read_text(), re.DOTALL)
    modules = re.findall(r"`([\w/]+\.py)`", way)
    assert len(modules) == len(set(modules)) <= LONGEST_WAY


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_has_few_siblings(folder):
    modules = [path for path in folder.glob("*.py") if path.stem != "__init__"]
    packages = [path for path in folder.iterdir() if (path / "__init__.py").exists()]
    assert len(modules) + len(packages) <= MOST_SIBLINGS


def test_no_module_is_long():
    scripts = (ROOT / "producer/page/templates").glob("*.js")
    assert [str(path) for path in (*MODULES, *scripts) if len(path.read_text().splitlines()) > MOST_LINES] == []


def test_no_two_files_of_tests_are_called_alike():
    """pytest imports them by their names alone."""
    names = Counter(file.name for file in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
