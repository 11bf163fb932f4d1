"""A process that cannot look costs no picture: it is waited for, and nobody's job is blamed."""

import signal

import psutil
import pytest
from faults import assert_promise_kept, faulty, outcomes

from models.types.states import JobState

CHECKED = ("--checks", "size,black", "--target", 3, "--replacements", 1)


@pytest.fixture
def both(installation):
    with faulty(installation, NIGHTSHIFT_HANG_S="6") as made:
        yield made


def assert_all_accepted(nightshift, worker):
    jobs = nightshift.wait_until_finished()
    assert [job.state for job in jobs] == [JobState.SUCCEEDED] * 3
    assert outcomes(nightshift) == [["succeeded"]] * 3
    assert worker.status is None
    assert "it works again" in worker.log
    assert_promise_kept(nightshift)


@pytest.mark.parametrize("error", ["FileNotFoundError", "OSError", "MemoryError"])
def test_one_that_cannot_be_started_is_waited_for(nightshift, faults, error):
    faults.at("examining", f"always raise {error} odd")
    nightshift.enqueue("--prompt", "a red boot", "--count", 3, *CHECKED)
    worker = nightshift.start_worker()
    nightshift.wait_until(lambda: "cannot be started" in worker.log, "the worker to wait")
    assert "the worker waits and tries again" in worker.log
    # Two pictures are in memory, and that is all that is begun.
    assert {job.state for job in nightshift.jobs()} <= {JobState.RUNNING, JobState.QUEUED}
    faults.forget("examining")
    assert_all_accepted(nightshift, worker)


@pytest.mark.smoke
def test_a_worker_that_is_told_to_end_meanwhile_gives_the_job_back(nightshift, faults):
    faults.at("examining", "always raise OSError odd")
    nightshift.enqueue("--prompt", "a red boot", "--count", 3, *CHECKED)
    worker = nightshift.start_worker()
    nightshift.wait_until(lambda: "cannot be started" in worker.log, "the worker to wait")
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    faults.forget("examining")
    nightshift.start_worker()
    jobs = nightshift.wait_until_finished()
    assert [job.state for job in jobs] == [JobState.SUCCEEDED] * 3
    assert_promise_kept(nightshift)


def test_one_that_is_frozen_is_replaced(nightshift, faults):
    faults.hold("judging")
    nightshift.enqueue("--prompt", "a red boot", "--count", 3, *CHECKED)
    worker = nightshift.start_worker()
    faults.wait_until_held("judging")
    # The first picture brings it up, and the second one meets it frozen.
    faults.hold("telling")
    faults.release("judging")
    faults.wait_until_held("telling")
    (helper,) = [one for one in psutil.Process(worker.pid).children() if "checks" in one.cmdline()]
    helper.send_signal(signal.SIGSTOP)
    faults.release("telling")
    nightshift.wait_until(lambda: "gave no answer for 3 s" in worker.log, "the frozen one to be ended")
    assert_all_accepted(nightshift, worker)
