"""Pictures that were made and could not be recorded: the next worker records them, and makes none twice."""

import json

import pytest
from faults import assert_promise_kept, locked, outcomes
from programs import WorkerProcess

from models.pictures.names import picture_name
from models.records.rescue import rescue_stalled, running_jobs
from models.records.tables import Attempt, Boot
from models.types.fate import Tries


def end_with_a_picture_that_cannot_be_recorded(nightshift, faults, end):
    """Return the attempt of a job whose worker had made the picture when `end` ended it."""
    faults.hold("settling")
    nightshift.enqueue("--prompt", "a red boot")
    worker = nightshift.start_worker()
    faults.wait_until_held("settling")
    with locked(nightshift):
        faults.release("settling")
        nightshift.wait_until(lambda: "the worker waits and tries again" in worker.log, "the worker to wait")
        end(worker)
    return nightshift.rows(Attempt)[0]


@pytest.mark.parametrize("end", [WorkerProcess.stop, WorkerProcess.kill], ids=["told to end", "killed"])
def test_a_picture_that_the_database_did_not_take_is_recorded_by_the_next_worker(nightshift, faults, end):
    before = end_with_a_picture_that_cannot_be_recorded(nightshift, faults, end)
    assert before.outcome == "running"
    worker = nightshift.start_worker()
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["succeeded"]]
    kept = nightshift.rows(Attempt)[0]
    assert kept.finished_at < nightshift.rows(Boot)[-1].started_at
    assert kept.load_id == 1
    assert kept.total_s > 0
    assert kept.rss_peak_bytes > 0
    said = "recorded 1 pictures that an earlier worker had made"
    nightshift.wait_until(lambda: said in worker.log, "the worker to say so")
    assert_promise_kept(nightshift)


def test_a_note_that_cannot_be_read_has_its_picture_made_again(nightshift, faults):
    end_with_a_picture_that_cannot_be_recorded(nightshift, faults, WorkerProcess.kill)
    (note,) = nightshift.data_dir.glob("pictures/*/.job-*.json")
    note.write_bytes(note.read_bytes()[:-1])
    nightshift.start_worker()
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["lost", "succeeded"]]
    assert_promise_kept(nightshift)


def test_a_note_of_the_version_before_is_read(nightshift, faults):
    end_with_a_picture_that_cannot_be_recorded(nightshift, faults, WorkerProcess.kill)
    (note,) = nightshift.data_dir.glob("pictures/*/.job-*.json")
    kept = json.loads(note.read_text())
    del kept["claim"]["losses"]
    note.write_text(json.dumps(kept))
    nightshift.start_worker()
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["succeeded"]]
    assert_promise_kept(nightshift)


def test_a_picture_is_not_recorded_for_a_job_that_has_gone_to_another_attempt(nightshift, faults):
    end_with_a_picture_that_cannot_be_recorded(nightshift, faults, WorkerProcess.kill)
    with nightshift.database.writing() as session:
        rescue_stalled(session, 0, running_jobs(session), Tries(retries=0, quarantine_after=3))
    nightshift.start_worker()
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["lost", "succeeded"]]
    assert_promise_kept(nightshift)


def test_a_picture_that_cannot_get_its_name_is_waited_for_at_the_start(nightshift, faults):
    end_with_a_picture_that_cannot_be_recorded(nightshift, faults, WorkerProcess.kill)
    in_the_way = nightshift.data_dir / picture_name(1, 1)
    in_the_way.mkdir()
    worker = nightshift.start_worker()
    nightshift.wait_until(lambda: "the worker waits and tries again" in worker.log, "the worker to wait")
    in_the_way.rmdir()
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["succeeded"]]
    assert_promise_kept(nightshift)
