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
from models.types.errors import ExaminerError
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


@pytest.fixture
def inside(tmp_path, monkeypatch):
    """Run these lines in each process that looks, before it does anything else."""

    def run(lines):
        (tmp_path / "sitecustomize.py").write_text(
            f"import os, checks.examiner\nright = checks.examiner.examine\n{lines}"
        )
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")

    return run


def test_a_picture_that_takes_it_down_each_time_is_rejected(examiner, inside):
    # As a library does that is at fault: the process ends in the middle of it.
    inside(
        "checks.examiner.examine = lambda content, *of: os._exit(11) if b'shoe' in content else right(content, *of)\n"
    )
    found = examiner.examine(content() + b"shoe", ASKED, select("colour"))
    (finding,) = found.findings
    assert (finding.check, finding.passed) == ("colour", False)
    assert "ended the process" in finding.sentence
    same(examiner.examine(content(), ASKED, select("colour")), examine(content(), ASKED, select("colour")))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("checks.examiner.examine = lambda *_: os._exit(11)\n", "ends whatever it looks at"),
        ("def examine(*_):\n    raise MemoryError\nchecks.examiner.examine = examine\n", "ends whatever it looks at"),
        ("os._exit(1)\n", "ended before it was ready"),
        ("os.kill(os.getpid(), 9)\n", "ended before it was ready"),
    ],
)
def test_what_is_no_fault_of_a_picture_is_no_verdict(examiner, inside, lines, said):
    inside(lines)
    with pytest.raises(ExaminerError, match=said):
        examiner.examine(content(), ASKED, select("colour"))


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "No such file"), OSError(24, "Too many open files"), MemoryError()]
)
def test_one_that_cannot_be_started_is_no_verdict_and_later_it_can(examiner, monkeypatch, error):
    def refuse(*_, **_options):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", refuse)
        with pytest.raises(ExaminerError, match="cannot be started"):
            examiner.examine(content(), ASKED, select("product"))
    same(examiner.examine(content(), ASKED, select("product")), examine(content(), ASKED, select("product")))


def test_a_program_that_has_moved_is_no_verdict(examiner, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ExaminerError, match="cannot be started \\(No such file or directory\\)"):
        examiner.examine(content(), ASKED, select("product"))


def test_one_that_is_frozen_is_replaced_and_no_picture_is_blamed():
    examiner = Examiner(limit_s=5)
    selection = select("product")
    first = examiner.examine(content(), ASKED, selection)
    process_of(examiner).send_signal(signal.SIGSTOP)
    with pytest.raises(ExaminerError, match="gave no answer for 5 s"):
        examiner.examine(content(), ASKED, selection)
    same(examiner.examine(content(), ASKED, selection), first)
    examiner.close()


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
