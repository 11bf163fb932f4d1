"""Jobs that fail one after the other for no reason of their own: a new process goes on with the rest."""

import pytest
from faults import assert_promise_kept, faulty, outcomes

from models.types.exit_status import ExitStatus
from models.types.states import JobState

FAILS = "always raise RuntimeError command buffer exited with error"


@pytest.fixture(scope="module")
def both(installation):
    with faulty(installation, NIGHTSHIFT_FAULTS_IN_A_ROW="3", NIGHTSHIFT_RETRIES="0") as made:
        yield made


@pytest.fixture(scope="module")
def nightshift(both):
    return both[0]


@pytest.fixture(scope="module")
def faults(both):
    return both[1]


def living(nightshift):
    """Return the worker that is at work, or a new one."""
    return next((one for one in nightshift.workers if one.status is None), None) or nightshift.start_worker()


@pytest.mark.smoke
def test_the_last_one_goes_back_and_the_next_worker_makes_it(nightshift, faults):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    faults.at("step", FAILS)
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 5)
    assert worker.wait() == ExitStatus.FAULTY
    assert "3 attempts in a row failed (RuntimeError: command buffer exited with error): job 3 goes back" in worker.log
    assert [job.state for job in nightshift.jobs(batch)] == ["failed", "failed", "queued", "queued", "queued"]
    faults.clear()
    second = nightshift.start_worker()
    states = [job.state for job in nightshift.wait_until_finished(batch)]
    assert states == [JobState.FAILED] * 2 + [JobState.SUCCEEDED] * 3
    assert outcomes(nightshift, batch) == [["failed"], ["failed"], ["lost", "succeeded"], ["succeeded"], ["succeeded"]]
    assert_promise_kept(nightshift)
    assert second.status is None


def test_a_picture_in_between_begins_the_count_anew(nightshift, faults):
    worker = living(nightshift)
    for _ in range(3):
        faults.at("step", "twice raise RuntimeError command buffer exited with error")
        batch = nightshift.enqueue("--prompt", "a red boot", "--count", 3)
        states = [job.state for job in nightshift.wait_until_finished(batch)]
        assert states == [JobState.FAILED, JobState.FAILED, JobState.SUCCEEDED]
    assert worker.status is None


def test_what_is_a_jobs_own_fault_counts_for_nothing(nightshift, faults):
    worker = living(nightshift)
    faults.at("decoding", "always spoil")
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 4)
    assert {job.cause for job in nightshift.wait_until_finished(batch)} == {"not_finite"}
    faults.clear()
    assert worker.status is None
    assert_promise_kept(nightshift)
