"""A job that takes its worker down each time is set aside, and the queue goes on."""

from models.records.tables import Attempt
from models.types.states import JobState


def test_a_job_that_takes_its_worker_down_three_times_runs_no_more_and_the_queue_goes_on(nightshift, faults):
    deadly = nightshift.enqueue("--prompt", "a deadly shoe")
    for _ in range(3):
        faults.hold("step")
        worker = nightshift.start_worker()
        faults.wait_until_held("step")
        worker.kill()
        faults.release("step")

    harmless = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    last = nightshift.wait_until_ready(nightshift.start_worker())
    assert {job.state for job in nightshift.wait_until_finished(harmless)} == {JobState.SUCCEEDED}
    (job,) = nightshift.jobs(deadly)
    assert (job.state, job.attempts, job.picture) == (JobState.QUARANTINED, 3, None)
    assert f"job {job.id} is set aside: its worker went away 3 times while it ran" in last.log
    lost = [row for row in nightshift.rows(Attempt) if row.job_id == job.id]
    assert [(row.number, row.outcome, row.cause) for row in lost] == [(n, "lost", "worker_lost") for n in (1, 2, 3)]
    assert len({row.boot_id for row in lost}) == 3

    status = nightshift.producer("status", deadly)
    assert "0 failed, 1 quarantined; `producer retry" in status.stdout
    assert f"job {job.id}: its worker went away too often while it ran" in status.stdout
    assert last.stop() == 0
    nightshift.wait_until_ready(nightshift.start_worker())
    assert nightshift.jobs(deadly)[0].state == JobState.QUARANTINED

    assert nightshift.producer("retry", deadly).returncode == 0
    (job,) = nightshift.wait_until_finished(deadly)
    assert (job.state, job.attempts, job.losses) == (JobState.SUCCEEDED, 4, 0)
