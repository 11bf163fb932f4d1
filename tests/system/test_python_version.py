"""Versions of Python that the pinned libraries have no wheels for are refused before anything is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def make_with(tmp_path):
    """Return what runs the install's first step with an interpreter that says it is of that version."""

    def make(version):
        python = tmp_path / "python"
        python.write_text(
            "#!/bin/sh\n"
            '[ "$1" = -c ] || { echo "Python claimed"; exit; }\n'
            f"exec {sys.executable} -c 'import sys; sys.version_info = {version}; exec(sys.argv[1])' \"$2\"\n"
        )
        python.chmod(0o755)
        return subprocess.run(
            ["make", f"{tmp_path}/venv/.made", f"VENV={tmp_path}/venv", f"PYTHON={python}"],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )

    (tmp_path / "venv").mkdir()
    return make


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 15, 0), (4, 0, 0)])
def test_another_version_is_refused_in_one_line(make_with, version):
    done = make_with(version)
    assert done.returncode != 0
    line = done.stderr.splitlines()[0]
    assert line.startswith("Nightshift needs Python 3.11 to 3.14")
    assert "Name another: make PYTHON=python3.13" in line


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 14, 9)])
def test_versions_with_wheels_are_taken(make_with, version):
    assert make_with(version).returncode == 0


def test_make_understands_what_the_readme_says_of_a_new_mac(tmp_path):
    (line,) = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("make demo PYTHON=")]
    done = subprocess.run(
        [*line.split(), "--dry-run", f"VENV={tmp_path}/venv"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "python3.13 -m venv" in done.stdout
    assert "producer run --prompts examples/shoes.txt --checkpoint demo" in done.stdout
