"""`producer pause` and `resume`: no job begins in between, and none is lost by it."""

import pytest
from faults import assert_promise_kept, outcomes

from models.records.tables import Attempt
from models.types.states import JobState


@pytest.mark.smoke
def test_no_job_begins_while_the_queue_is_paused_and_the_running_one_is_finished(nightshift, faults):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    faults.hold("step")
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 3)
    faults.wait_until_held("step")
    assert nightshift.producer("pause").returncode == 0
    faults.release("step")
    nightshift.wait_until(lambda: "the queue is paused since" in worker.log, "the worker to come to the gate")
    states = ["succeeded", "queued", "queued"]
    nightshift.wait_until(lambda: [job.state for job in nightshift.jobs(batch)] == states, "the first to be saved")

    assert nightshift.producer("cancel", "--job", 3).returncode == 0
    assert nightshift.producer("resume").returncode == 0
    jobs = nightshift.wait_until_finished(batch)
    assert [job.state for job in jobs] == [JobState.SUCCEEDED, JobState.SUCCEEDED, JobState.CANCELLED]
    assert outcomes(nightshift) == [["succeeded"], ["succeeded"], []]
    # The device did not wait for the queue but for a person.
    assert nightshift.rows(Attempt)[1].gap_s is None
    assert_promise_kept(nightshift)


def test_a_paused_worker_ends_when_it_is_told_to_and_the_pause_outlasts_it(nightshift):
    assert nightshift.producer("pause").returncode == 0
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    for _ in range(2):
        worker = nightshift.start_worker()
        nightshift.wait_until(
            lambda worker=worker: "the queue is paused since" in worker.log, "the worker to come to the gate"
        )
        assert worker.stop() == 0
        assert [job.state for job in nightshift.jobs(batch)] == ["queued", "queued"]
    assert nightshift.producer("resume").returncode == 0
    nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift) == [["succeeded"]] * 2
    assert_promise_kept(nightshift)
