"""`producer tune`: finds out now how many pictures a call are fastest, and workers go by it from then on."""

import json

import pytest
from faults import composed_by

from models.checkpoints import DEMO
from models.records.tables import Attempt
from models.tuning import FILE, SIZES, USUAL, Candidate, read_trials
from models.types.job import JobSpec
from producer.local.tuning import tuned_calls

COUNT = 32


@pytest.fixture(scope="module")
def nightshift(installation):
    with installation(NIGHTSHIFT_TUNING="true") as made:
        yield made


@pytest.fixture(scope="module")
def tuned(nightshift):
    """Return what `producer tune` prints, and the row of what it found out."""
    shown = nightshift.producer("tune")
    assert shown.returncode == 0
    (row,) = json.loads(nightshift.producer("tune", "--show", "--json").stdout)
    return shown, row


def test_it_says_what_it_does_and_shows_what_it_found_out(tuned):
    shown, row = tuned
    assert shown.stderr.splitlines()[:4] == ["made 1 a call"] * 2 + ["made 2 a call"] * 2
    assert row["fastest"]["size"] in SIZES
    seconds = {(each["size"], each["form"]): each["seconds"] for each in row["candidates"]}
    best = row["fastest"]["size"], row["fastest"]["form"]
    assert row["times_as_fast"] == seconds[1, USUAL] / seconds[best]
    assert f"{row['times_as_fast']:.2f} times" in shown.stdout
    assert "128x128, DPM++ 2M" in shown.stdout
    # On the CPU all that is in force is the same to the bit.
    assert {each["difference"] for each in row["candidates"] if not each["dropped"]} == {0.0, None}
    assert (best[0], "traced") in seconds


def test_what_is_known_is_shown_without_a_picture_and_not_found_out_twice(nightshift, tuned):
    shown, _ = tuned
    before = (nightshift.data_dir / FILE).read_text()
    again = nightshift.producer("tune")
    assert (again.stdout, again.stderr) == (shown.stdout, "")
    assert (nightshift.data_dir / FILE).read_text() == before


def test_a_worker_goes_by_it_from_its_first_call_on(nightshift, tuned):
    _, row = tuned
    nightshift.enqueue_at_once("--prompt", "a red boot", "--count", COUNT, "--steps", 2)
    worker = nightshift.start_worker()
    nightshift.wait_until_finished()
    made = nightshift.rows(Attempt)
    assert {attempt.pictures_a_call for attempt in made} == {row["fastest"]["size"]}
    # A form is made ready where so few pictures repay it.
    assert {attempt.form for attempt in made} <= {USUAL, row["fastest"]["form"]}
    # And while it has the device, nobody else makes pictures on it.
    refused = nightshift.producer("tune", "--width", 192)
    assert refused.returncode == 1
    assert refused.stderr.startswith("producer: not tuned: ")
    assert worker.stop() == 0


def test_where_nothing_is_known_it_says_who_finds_it_out(nightshift, tmp_path):
    shown = nightshift.producer("tune", "--show", "--anew", NIGHTSHIFT_DATA_DIR=str(tmp_path / "new"))
    assert shown.returncode == 0
    assert "nothing is known yet: workers find it out" in shown.stdout


@pytest.mark.parametrize("option", ["--show", "--anew"])
def test_a_file_that_cannot_be_used_is_named_in_one_line(nightshift, tmp_path, option):
    (tmp_path / "new" / FILE).mkdir(parents=True)
    refused = nightshift.producer("tune", option, NIGHTSHIFT_DATA_DIR=str(tmp_path / "new"))
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"producer: {tmp_path / 'new' / FILE} cannot be used: ")


def test_a_checkpoint_that_is_not_there_is_one_line(nightshift, tmp_path):
    refused = nightshift.producer("tune", "--checkpoint", "/no/such", NIGHTSHIFT_DATA_DIR=str(tmp_path / "new"))
    assert refused.returncode in (1, 2)
    assert len(refused.stderr.splitlines()) == 1
    assert "/no/such" in refused.stderr


def test_a_size_that_ends_the_process_is_left_out_and_the_rest_is_found_out(tmp_path, monkeypatch):
    for name, value in composed_by("").items():
        monkeypatch.setenv(name, value)
    for name, value in {"DATA_DIR": tmp_path, "DEVICE": "cpu", "TUNING": "true"}.items():
        monkeypatch.setenv(f"NIGHTSHIFT_{name}", str(value))
    monkeypatch.setenv("FATAL", "2")
    usual = {"guidance": 7.5, "width": 128, "height": 128, "scheduler": "DDIM", "checkpoint": DEMO}
    made = list(tuned_calls(JobSpec(prompt="a shoe", seed=1, steps=1, **usual), "faulty_tune"))
    assert made[:2] == ["1 a call"] * 2
    assert all(made == "1 a call, traced" for made in made[2:])
    (trials,) = read_trials(tmp_path).values()
    assert trials.of[Candidate(2)].dropped == "ended the worker"
    assert trials.fastest().size == 1
