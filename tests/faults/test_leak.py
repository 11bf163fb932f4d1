"""A worker whose memory grows with every picture does what it can about that, and at last ends to be started anew."""

import pytest
from faults import leaking

from models.figures.memory_trend import FEWEST_PICTURES, SETTLING_JOBS
from models.records.tables import Attempt, Boot, GuardAction, Load
from models.types.exit_status import ExitStatus
from models.types.states import GuardStep, JobState

MB = 10**6
LEAK = 10 * MB
#: Pictures of so few steps that the worker makes them in no time.
SMALL = ("--steps", 2)
#: Pictures after which a worker that leaks is past its limit: enough to tell by how much its memory grows.
LASTING = SETTLING_JOBS + FEWEST_PICTURES + 5


def test_a_worker_that_leaks_ends_between_two_jobs_and_the_next_one_goes_on(nightshift):
    nightshift.enqueue("--prompt", "a shoe", *SMALL)
    sound = nightshift.start_worker()
    nightshift.wait_until_finished()
    assert sound.stop() == 0
    (attempt,) = nightshift.rows(Attempt)
    limit_gb = (attempt.rss_after_bytes + LASTING * LEAK) / 1e9

    count = LASTING + 10
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", count, *SMALL)
    first = nightshift.start_worker(NIGHTSHIFT_MEMORY_LIMIT_GB=str(limit_gb), **leaking(LEAK))
    assert first.wait() == ExitStatus.MEMORY
    made = [row for row in nightshift.rows(Attempt) if row.boot_id == 2]
    assert {row.outcome for row in made} == {"succeeded"}, "it ended in the middle of a job"
    assert {job.state for job in nightshift.jobs(batch)} == {JobState.SUCCEEDED, JobState.QUEUED}
    _, boot = nightshift.rows(Boot)
    assert boot.ended_at is not None

    caches, reload, restart = nightshift.rows(GuardAction)
    assert [caches.step, reload.step, restart.step] == list(GuardStep)
    assert {caches.boot_id, reload.boot_id, restart.boot_id} == {2}
    assert {row.limit_bytes for row in (caches, reload, restart)} == {round(limit_gb * 1e9)}
    assert caches.held_before_bytes > caches.limit_bytes
    # Read a moment later, when some of it may be given back already.
    last = [row for row in made if row.started_at < caches.taken_at][-1]
    assert caches.held_before_bytes == pytest.approx(last.rss_after_bytes, abs=LEAK)
    assert restart.held_before_bytes == reload.held_after_bytes > restart.limit_bytes
    assert restart.cost_s is None
    assert [load.boot_id for load in nightshift.rows(Load)] == [1, 2, 2]
    for words in ("emptied caches in", "loaded the checkpoint anew in", "the worker ends with status 71"):
        assert len([line for line in first.lines if "memory guard: " in line and words in line]) == 1

    nightshift.wait_until_ready(nightshift.start_worker(NIGHTSHIFT_MEMORY_LIMIT_GB=str(limit_gb), **leaking(LEAK)))
    jobs = nightshift.wait_until_finished(batch)
    assert {(job.state, job.attempts) for job in jobs} == {(JobState.SUCCEEDED, 1)}
    assert all((nightshift.data_dir / job.picture).is_file() for job in jobs)
    assert len(nightshift.rows(Attempt)) == 1 + count

    cost_s = (nightshift.rows(Boot)[2].ready_at - restart.taken_at).total_seconds()
    report = nightshift.read_json("report", batch)
    steps = {figures["step"]: figures for figures in report["guard"]}
    assert [(figures["times"], figures["timed"]) for figures in steps.values()] == [(1, 1)] * 3
    assert steps["restart"]["cost_s"] == pytest.approx(cost_s, abs=0.1)
    trend = report["memory_trend"]
    assert (trend["boot"], trend["pictures"]) == (2, len(made) - SETTLING_JOBS)
    assert trend["per_100_pictures"]["rss"] == pytest.approx(100 * LEAK, rel=0.25)


@pytest.mark.smoke
def test_a_limit_that_the_work_itself_exceeds_is_told_once_and_costs_nothing(nightshift):
    worker = nightshift.start_worker(NIGHTSHIFT_MEMORY_LIMIT_GB="0.01")
    nightshift.enqueue("--prompt", "a red boot", "--count", 2 * SETTLING_JOBS + 5, *SMALL)
    jobs = nightshift.wait_until_finished()
    assert {(job.state, job.attempts) for job in jobs} == {(JobState.SUCCEEDED, 1)}
    (line,) = [line for line in worker.lines if "memory guard" in line]
    assert "the limit of 0.01 GB is below the " in line
    assert "NIGHTSHIFT_MEMORY_LIMIT_GB" in line
    assert nightshift.rows(GuardAction) == []
    assert worker.stop() == 0
