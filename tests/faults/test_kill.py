"""kill -9 of the worker in each phase of a job: the next worker makes it, once."""

import pytest
from faults import assert_promise_kept, outcomes

from models.states import JobState

#: Where a worker is killed, and whether that costs the job an attempt.
PLACES = {
    "claiming": False,
    "encoding": True,
    "step": True,
    "decoding": True,
    "writing": True,
    "written": True,
    "settling": True,
    "named": True,
    "settled": True,
}


def assert_all_made(nightshift, batch):
    jobs = nightshift.wait_until_finished(batch)
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert_promise_kept(nightshift)


def kill_at(nightshift, faults, worker, place):
    faults.wait_until_held(place)
    worker.kill()
    faults.release(place)


@pytest.mark.parametrize("place", PLACES)
def test_a_worker_killed_there_loses_no_job_and_makes_none_twice(nightshift, faults, place):
    # Enqueued first: a worker held in the middle of its claim has the database locked.
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    faults.hold(place)
    kill_at(nightshift, faults, nightshift.start_worker(), place)
    nightshift.start_worker()
    assert_all_made(nightshift, batch)
    assert outcomes(nightshift) == [["lost", "succeeded"] if PLACES[place] else ["succeeded"], ["succeeded"]]


def test_a_worker_killed_while_it_loads_loses_nothing(nightshift, faults):
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    faults.hold("loading")
    kill_at(nightshift, faults, nightshift.start_worker(), "loading")
    nightshift.start_worker()
    assert_all_made(nightshift, batch)
    assert outcomes(nightshift) == [["succeeded"]] * 2


def test_a_worker_killed_between_two_jobs_loses_none(nightshift, faults):
    first = nightshift.enqueue("--prompt", "a red boot")
    worker = nightshift.start_worker()
    nightshift.wait_until_finished(first)
    worker.kill()
    later = nightshift.enqueue("--prompt", "a blue loafer", "--count", 2)
    nightshift.start_worker()
    assert_all_made(nightshift, later)
    assert outcomes(nightshift) == [["succeeded"]] * 3


def test_a_worker_killed_again_and_again_loses_nothing(nightshift, faults):
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 3)
    worker = None
    for place in ("writing", "named", "settled", "claiming"):
        faults.hold(place)
        worker = nightshift.start_worker(NIGHTSHIFT_QUARANTINE_AFTER="10")
        kill_at(nightshift, faults, worker, place)
    nightshift.start_worker(NIGHTSHIFT_QUARANTINE_AFTER="10")
    assert_all_made(nightshift, batch)
    assert sum(row.count("lost") for row in outcomes(nightshift)) == 3
