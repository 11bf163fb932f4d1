"""The process that looks at pictures: finds what the checks find, outlasts what it looks at, and leaves nothing."""

import io
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from checks.asked import Asked
from checks.examiner import Examiner, examine
from checks.registry import select
from training.drawing import SIZE, draw_shoe

ASKED = Asked("a photo of blue shoes on white background", SIZE, SIZE)


def content(colour="blue"):
    file = io.BytesIO()
    draw_shoe("boot", colour, np.random.default_rng(1)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def examiner():
    made = Examiner()
    yield made
    made.close()


def same(one, other):
    assert one.findings == other.findings
    assert (one.likeness is None) == (other.likeness is None)
    assert one.likeness is None or one.likeness.to_bytes() == other.likeness.to_bytes()


@pytest.mark.parametrize("checks", ["product", "colour", "duplicates"])
def test_it_finds_what_the_checks_find(examiner, checks):
    selection = select(checks)
    for colour in ("blue", "red"):
        found = examiner.examine(content(colour), ASKED, selection)
        same(found, examine(content(colour), ASKED, selection))
        assert all(finding.passed for finding in found.findings) == (colour == "blue" or checks == "duplicates")


@pytest.mark.parametrize("damaged", [b"", b"no picture", content()[:300]])
def test_what_is_no_picture_is_said_to_be_none(examiner, damaged):
    assert not examiner.examine(damaged, ASKED, select("product")).is_picture
    assert examiner.examine(content(), ASKED, select("product")).is_picture


def process_of(examiner):
    (child,) = [one for one in psutil.Process().children() if "checks" in one.cmdline()]
    return child


def test_one_that_went_away_is_started_again(examiner):
    selection = select("product")
    first = examiner.examine(content(), ASKED, selection)
    process_of(examiner).send_signal(signal.SIGKILL)
    same(examiner.examine(content(), ASKED, selection), first)


def test_a_picture_that_takes_it_down_each_time_is_rejected(examiner, tmp_path, monkeypatch):
    # As a library does that is at fault: the process ends in the middle of it.
    (tmp_path / "sitecustomize.py").write_text(
        "import os, checks.examiner\nchecks.examiner.examine = lambda *_: os._exit(11)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    found = examiner.examine(content(), ASKED, select("colour"))
    (finding,) = found.findings
    assert (finding.check, finding.passed) == ("colour", False)
    assert "ended the process" in finding.sentence


def test_it_goes_away_with_the_program_that_asks():
    code = (
        "import io, sys\nfrom PIL import Image\nfrom checks.asked import Asked\nfrom checks.examiner import Examiner\n"
        "from checks.registry import select\nfile = io.BytesIO()\nImage.new('RGB', (8, 8)).save(file, 'PNG')\n"
        "examiner = Examiner()\nexaminer.examine(file.getvalue(), Asked('x', 8, 8), select('size'))\n"
        "print(examiner._process.pid, flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as asks:
        child = psutil.Process(int(asks.stdout.readline()))
        assert child.is_running()
        asks.kill()
        asks.wait()
    psutil.wait_procs([child], timeout=60)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
