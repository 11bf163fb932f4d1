"""`producer check` on pictures that a worker made."""

import json
from pathlib import Path

import pytest
from installation import Installation
from PIL import Image

from models.records.tables import Batch, Verdict


@pytest.fixture(scope="module")
def nightshift(installation):
    """Three shoes that the demo made."""
    with installation() as made:
        template = "${colour=!{red|green|blue}}a photo of ${colour} boots on white background"
        asked = ("--prompt", template, "--template", "combinatorial", "--seed", "1", "--batch", "boots")
        done = made.producer("run", *asked)
        assert done.returncode == 0, done.stderr
        yield made


def rejected(nightshift: Installation) -> set[tuple[int, str]]:
    return {(row.job_id, row.check) for row in nightshift.rows(Verdict) if not row.passed}


def test_good_pictures_are_accepted_and_what_was_found_is_kept(nightshift: Installation):
    done = nightshift.producer("check")
    assert done.returncode == 0, done.stderr
    assert "boots: 3 of 3 pictures accepted, 0 rejected" in done.stdout
    assert "boots: 3 of 3 accepted, 0 rejected; " in nightshift.producer("status", "boots").stdout
    found = nightshift.rows(Verdict)
    assert {row.job_id for row in found if row.check == "colour" and row.figure > 0.35} == {1, 2, 3}
    assert {row.check for row in found} == set(nightshift.rows(Batch)[0].checks)

    again = json.loads(nightshift.producer("check", "boots", "--checks", "background.share=1,colour", "--json").stdout)
    assert {count["check"] for count in again["checks"]} == {"background", "colour"}
    assert nightshift.rows(Batch)[0].checks["background"]["share"] == 1
    # Without a word of which checks: those from before.
    once_more = json.loads(nightshift.producer("check", "boots", "--json").stdout)
    assert once_more == again
    assert len(nightshift.rows(Verdict)) == 6
    # Limits that nothing meets put all aside, and no limits bring all back.
    assert [job.state for job in nightshift.jobs()] == ["rejected"] * 3
    assert nightshift.producer("check", "--checks", "none").returncode == 0
    assert [(job.state, Path(job.picture).parent.name) for job in nightshift.jobs()] == [
        ("succeeded", "batch-0001")
    ] * 3


def test_spoilt_ones_are_rejected_and_gone_ones_are_named(nightshift: Installation):
    first, second, third = (nightshift.data_dir / job.picture for job in nightshift.jobs())
    kept = {path: path.read_bytes() for path in (first, second, third)}
    try:
        with Image.open(first) as image:
            image.convert("RGB").point(lambda value: value * 0.7).save(first)
        second.unlink()
        third.write_text("no picture")
        done = nightshift.producer("check", "--checks", "product")
        assert done.returncode == 0, done.stderr
        assert "boots: 2 of 3 pictures accepted, 1 rejected" in done.stdout
        assert "  job 1, background: 0.0% of the border is white (least 95%)" in done.stdout
        assert "not judged, since their pictures are not there: jobs 2, 3" in done.stdout
        assert {job for job, _ in rejected(nightshift)} == {1}
        state = nightshift.read_json("status", "boots")
        assert state["acceptance"]["rejected_by"] == {"background": 1}
        assert (state["acceptance"]["accepted"], state["missing_pictures"]) == (2, 1)
        assert Path(nightshift.jobs()[0].picture).parent.name == "rejected"
        assert not first.exists()
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
        # Back to where it was, with its old content beside it.
        assert nightshift.producer("check", "--checks", "none").returncode == 0
        first.write_bytes(kept[first])
    assert [job.state for job in nightshift.jobs()] == ["succeeded"] * 3


def test_the_same_picture_twice_is_a_duplicate(nightshift: Installation):
    first, second, _ = (nightshift.data_dir / job.picture for job in nightshift.jobs())
    kept = second.read_bytes()
    try:
        second.write_bytes(first.read_bytes())
        assert nightshift.producer("check", "--checks", "duplicates").returncode == 0
        assert rejected(nightshift) == {(2, "duplicates")}
    finally:
        assert nightshift.producer("check", "--checks", "none").returncode == 0
        second.write_bytes(kept)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--checks", "beauty"), "producer: --checks: no check is called 'beauty'"),
        (("nothing",), "producer: there is no batch 'nothing'"),
    ],
)
def test_what_is_not_there_is_one_line(nightshift: Installation, arguments, said):
    before = len(nightshift.rows(Verdict))
    done = nightshift.producer("check", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(nightshift.rows(Verdict)) == before


def test_the_checks_are_shown(nightshift: Installation):
    shown = nightshift.producer("check", "--help-checks").stdout
    assert "product: size, file, black, flat, background" in shown
    assert "duplicates, colour.bottom=0.3, colour.parts=" in shown
    assert "background.share" in shown
