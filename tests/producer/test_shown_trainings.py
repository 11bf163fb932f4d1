"""What commands say of trainings: how far they are, what went wrong in them, and what they keep on the disk."""

import json
import re

import pytest
from installation import Installation
from made_rows import Made, write_batch
from made_trainings import claim, later, write_training
from sqlalchemy import update

from models.records.tables import Training
from models.records.trainings import segments
from models.records.trainings.segments import SegmentResult
from models.types.causes import Cause
from models.types.states import Outcome


@pytest.fixture(scope="module")
def nightshift(installation):
    """One training that is under way, and one that failed after much trouble. Nothing here changes them."""
    with installation() as made:
        write_batch(made, "shoes", [Made()])
        write_training(made, "olive", segments_done=4)
        write_training(made, "cut", segments_done=1)
        fail(made, "cut", "memory ran out\x1b[31m")
        yield made


def fail(made: Installation, name: str, error: str) -> None:
    result = SegmentResult(Outcome.FAILED, cause=Cause.OUT_OF_MEMORY, error=error)
    claimed = claim(made, name)
    with made.database.writing() as session:
        segments.fail(session, claimed, result, later(20))
        session.execute(update(Training).where(Training.name == name).values(saves_memory=True, rate_share=0.25))


@pytest.mark.parametrize("command", ["report", "status"])
def test_how_far_a_training_is_and_when_it_will_be_done(nightshift, command):
    shown = nightshift.producer(command, "olive").stdout
    assert "31 to 40" in shown
    assert "olive: 2.00 pictures a second" in shown
    (left,) = (line for line in shown.splitlines() if "left (" in line)
    assert re.fullmatch(
        r"olive: [34]\d\.\d s left \(95 of 100 times [\d.]+ s to [\d.]+ s\), "
        "and what is made between its segments",
        left,
    )
    found = nightshift.read_json(command, "olive")
    assert (found["step"], found["steps"], found["step_s"], found["pictures_per_s"]) == (40, 60, 2.0, 2.0)
    assert found["left"]["seconds"] == pytest.approx(40, rel=0.2)
    assert [one["loss"] for one in found["segments"]] == [1, 0.5, pytest.approx(1 / 3), 0.25]


@pytest.mark.parametrize("command", ["report", "status"])
def test_what_went_wrong_and_what_to_do_about_it(nightshift, command):
    lines = nightshift.producer(command, "cut").stdout.splitlines()
    assert "cut: a loss was not finite, and the rates are 0.25 of what was asked" in lines
    assert "cut: memory ran out, or workers went away, so it checkpoints gradients: steps take longer" in lines
    # What a terminal would take for a command of its own is shown as what it is.
    assert r"cut: memory ran out\x1b[31m" in lines
    assert "cut: `producer retry cut` goes on from step 10" in lines
    assert not any("left (" in line for line in lines)


@pytest.mark.parametrize("options", [("--csv",), ("--html", "page.html")], ids=str)
def test_a_report_of_a_training_has_no_other_form(nightshift, options):
    done = nightshift.producer("report", "olive", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == (
        "Error: of a training there is --json, and `producer compare NAME --html FILE`"
    )


def test_what_trainings_keep_is_listed_with_what_removes_it(nightshift):
    rows = [line for line in nightshift.producer("gc").stdout.splitlines() if line.split()[:1] in (["olive"], ["cut"])]
    assert [("2.00 kB" in row, "--training" in row) for row in rows] == [(True, False), (True, True)]
    done = nightshift.producer("gc", "--training", "olive")
    assert done.stderr == "producer: olive: is not done yet; `producer cancel olive` ends it\n"
    found = json.loads(nightshift.producer("gc", "--training", "cut", "--dry-run", "--json").stdout)
    assert (found["files"], found["size_bytes"], found["removed"], found["spared"]) == (1, 2000, False, [])
