"""Claims and settling, on SQLite and on PostgreSQL: whatever happens, a job is one attempt's at a time."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from postgres_rows import rows_read
from sqlite_steps import steps

from models.records import attempts, claims, control, publication
from models.records.attempts import Result
from models.records.batches import Acceptance, spec_of
from models.records.control import pause, resume
from models.records.judging.acceptance import record_limits
from models.records.rescue import Rescued, rescue
from models.records.tables import Job
from models.types.causes import Cause
from models.types.clock import now
from models.types.errors import LimitsChangedError, QueuePausedError
from models.types.fate import Tries
from models.types.job import MAX_KEY
from models.types.measurement import Measurement, MemoryReading, Timings
from models.types.states import JobState, Outcome

CLAIMER = Path(__file__).with_name("claimer.py")
#: Processes that claim at once, and how many jobs there are.
AT_ONCE = {"sqlite": (3, 200), "postgresql+psycopg": (4, 120)}
#: Losses after which a job is set aside.
TRIES = Tries(retries=0, quarantine_after=3)
#: How an attempt ends whose worker cannot write.
FULL = Result(Outcome.LOST, cause=Cause.STORAGE, error="the disk is full")
#: And how one whose device hangs.
HUNG = Result(Outcome.LOST, cause=Cause.HUNG, error="no step for 600 s")


@pytest.fixture
def claimed(records, message, boot):
    return records.claim(message, boot)


def of_job(number):
    return control.Scope("a job", Job.id == number)


def of_batch(batch):
    return control.Scope("a batch", Job.batch_id == batch.id)


def test_a_claim_counts_the_attempt_before_it_starts(records, boot):
    batch = records.batch("red", 2, prompt="a boot")
    other, message = records.messages(batch)
    before = now()
    claim = records.claim(message, boot)
    job, untouched = records.job(message.job), records.job(other.job)
    assert (job.state, job.attempts, job.boot_id) == (JobState.RUNNING, 1, boot)
    assert before <= job.heartbeat_at <= now()
    (attempt,) = records.attempts()
    assert (attempt.outcome, attempt.number, attempt.job_id) == (Outcome.RUNNING, 1, job.id)
    assert (attempt.batch_id, attempt.boot_id, attempt.load_id, attempt.total_s) == (batch.id, boot, None, None)
    assert (claim.attempt_id, claim.attempt_number, claim.batch_name, claim.spec) == (
        attempt.id,
        1,
        "red",
        spec_of(job),
    )
    assert (untouched.state, untouched.attempts) == (JobState.QUEUED, 0)


def test_nothing_is_claimed_while_the_queue_is_paused(records, boot, message, write):
    write(pause)
    with pytest.raises(QueuePausedError):
        records.claim(message, boot)
    assert (records.job(message.job).state, records.attempts()) == (JobState.QUEUED, [])
    write(resume)
    assert records.claim(message, boot).attempt_number == 1


def test_what_runs_is_what_the_row_says(records, boot, message):
    records.change(message.job, prompt="something else")
    assert records.claim(message, boot).spec.prompt == "something else"


@pytest.mark.parametrize("told", [timedelta(hours=1), timedelta(hours=-1)], ids=["set forth", "set back"])
def test_the_queue_wait_is_of_the_clock_that_nobody_sets(records, boot, message, told):
    queued_s = records.job(message.job).queued_s - 30
    records.change(message.job, queued_at=now() - told, queued_s=queued_s)
    records.claim(message, boot)
    (attempt,) = records.attempts()
    assert attempt.queue_wait_s == pytest.approx(attempt.started_s - queued_s, abs=1)
    assert 30 <= attempt.queue_wait_s < 90


@pytest.mark.parametrize("clock", [None, "another"])
def test_after_another_start_of_the_machine_it_is_of_the_time_of_day_unless_that_was_set(records, boot, write, clock):
    first, second = records.messages(records.batch(jobs=2))
    records.change(first.job, queued_at=now() - timedelta(hours=1), queued_clock=clock)
    records.change(second.job, queued_at=now() + timedelta(hours=1), queued_clock=clock)
    for message in (first, second):
        records.claim(message, boot)
    told, contradicting = records.attempts()
    assert 3600 <= told.queue_wait_s < 3660
    assert contradicting.queue_wait_s is None


def test_a_second_claim_of_the_same_message_gets_nothing(records, boot, message, claimed):
    assert records.claim(message, boot) is None
    assert records.claim(message, records.boot(device="cuda")) is None
    assert [attempt.id for attempt in records.attempts()] == [claimed.attempt_id]
    assert records.job(message.job).attempts == 1


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.QUEUED])
def test_only_a_queued_job_is_claimed(records, boot, message, write, state):
    write(lambda session: setattr(session.get_one(Job, message.job), "state", state))
    assert records.claim(message, boot) is None
    assert records.attempts() == []
    assert records.job(message.job).state == state


def test_a_message_of_another_database_gets_nothing(records, boot, message):
    assert records.claim(message.model_copy(update={"batch": uuid4().hex}), boot) is None
    assert records.attempts() == []


def test_a_message_of_a_job_that_is_not_to_be_had_is_worth_another_one(records, boot, message):
    assert records.claim(message.model_copy(update={"job": MAX_KEY}), boot).job_id == message.job


def test_processes_that_claim_at_once_never_get_the_same_job(records, boot):
    count, jobs = AT_ONCE[records.database.url.partition(":")[0]]
    messages = records.messages(records.batch(jobs=jobs))
    processes = [
        subprocess.Popen(
            [sys.executable, str(CLAIMER), records.database.url, str(boot)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    lines = "".join(f"{message.model_dump_json()}\n" for message in messages)
    for process in processes:
        process.stdin.write(lines)
        process.stdin.flush()
    got = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert sorted(number for numbers in got for number in numbers) == [message.job for message in messages]
    assert sorted(attempt.job_id for attempt in records.attempts()) == [message.job for message in messages]


def test_settling_writes_the_measurements_and_the_state(records, boot, claimed):
    load = records.load(boot)
    reading = MemoryReading(rss=3, device_allocated=None, available=1)
    measured = Measurement(
        cold=True, gap_s=0.25, timings=Timings(encode_s=0.5), total_s=2.0, picture_bytes=9, peak=reading
    )
    assert records.settle(claimed, load_id=load, measured=measured, picture="pictures/1.png")
    job, (attempt,) = records.job(claimed.job_id), records.attempts()
    assert (job.state, job.picture, job.cause, job.error) == (JobState.SUCCEEDED, "pictures/1.png", None, None)
    assert job.finished_at == attempt.finished_at >= claimed.started_at == attempt.started_at
    assert (attempt.outcome, attempt.load_id, attempt.cold, attempt.gap_s) == (Outcome.SUCCEEDED, load, True, 0.25)
    assert (attempt.encode_s, attempt.total_s, attempt.picture_bytes) == (0.5, 2.0, 9)
    assert (attempt.rss_peak_bytes, attempt.available_lowest_bytes) == (3, 1)
    # What was not measured is not 0.
    assert (attempt.denoise_s, attempt.device_allocated_peak_bytes, attempt.rss_before_bytes) == (None, None, None)


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.CANCELLED])
def test_a_failure_is_written_to_job_and_attempt(records, claimed, outcome):
    assert records.settle(claimed, outcome, cause=Cause.NOT_FINITE, error="no numbers")
    job, (attempt,) = records.job(claimed.job_id), records.attempts()
    assert (job.state, job.cause, job.error, job.picture) == (outcome.value, "not_finite", "no numbers", None)
    assert (attempt.outcome, attempt.cause, attempt.error) == (outcome, "not_finite", "no numbers")


def test_a_claim_settles_once(records, claimed):
    assert records.settle(claimed, picture="first.png")
    assert not records.settle(claimed, Outcome.FAILED, error="late")
    job, (attempt,) = records.job(claimed.job_id), records.attempts()
    assert (job.state, job.picture, job.error) == (JobState.SUCCEEDED, "first.png", None)
    assert attempt.outcome == Outcome.SUCCEEDED


@pytest.mark.parametrize("wrong", ["boot_id", "attempt_number", "job_id"])
def test_settling_needs_owner_attempt_and_job_to_match(records, boot, claimed, write, wrong):
    (other,) = records.messages(records.batch("other"))
    records.claim(other, records.boot(device="cuda"))
    value = {"boot_id": records.boot(), "attempt_number": 2, "job_id": other.job}[wrong]
    stale = replace(claimed, **{wrong: value})
    assert not records.settle(stale)
    assert not write(attempts.give_back, stale, FULL)
    assert write(claims.renew, [stale]) == {}
    assert [records.job(number).state for number in (claimed.job_id, other.job)] == [JobState.RUNNING] * 2
    assert [attempt.outcome for attempt in records.attempts()] == [Outcome.RUNNING] * 2


def test_an_owner_that_comes_back_after_rescue_settles_nothing(records, claimed, write, message):
    newer = records.boot()
    assert write(rescue, newer, TRIES).queued == [claimed.job_id]
    assert not records.settle(claimed, picture="late.png")
    again = records.claim(message, newer)
    assert again.attempt_number == 2
    assert not records.settle(claimed, picture="late.png")
    assert write(claims.renew, [claimed]) == {}
    assert records.settle(again, picture="new.png")
    lost, made = records.attempts()
    assert (lost.outcome, lost.cause, lost.number) == (Outcome.LOST, "worker_lost", 1)
    assert (made.outcome, made.number) == (Outcome.SUCCEEDED, 2)
    job = records.job(claimed.job_id)
    assert (job.state, job.picture, job.attempts) == (JobState.SUCCEEDED, "new.png", 2)


def test_what_is_given_back_is_queued_unpublished_and_can_be_claimed_again(records, boot, claimed, write, message):
    write(publication.mark_published, [claimed.job_id], now())
    queued_at = records.job(claimed.job_id).queued_at
    assert write(attempts.give_back, claimed, FULL)
    job, (attempt,) = records.job(claimed.job_id), records.attempts()
    assert (job.state, job.published_at, job.boot_id, job.attempts) == (JobState.QUEUED, None, None, 1)
    assert job.queued_at > queued_at
    assert (attempt.outcome, attempt.cause, attempt.error) == (Outcome.LOST, "storage", "the disk is full")
    assert attempt.finished_at is not None
    assert not write(attempts.give_back, claimed, FULL)
    assert records.claim(message, boot).attempt_number == 2


def test_a_job_that_was_given_back_in_good_order_counts_no_loss(records, claimed, write):
    assert write(attempts.give_back, claimed, FULL)
    assert records.job(claimed.job_id).losses == 0


def postponed(write, claim, wait_s, **values):
    details = {"cause": Cause.DRIVER, "error": "command buffer", **values}
    result = Result(Outcome.FAILED, measured=Measurement(first_of_boot=True), **details)
    return write(attempts.postpone, claim, result, wait_s)


def test_a_job_that_failed_in_passing_is_published_again_when_it_is_time_and_not_before(records, boot, claimed, write):
    assert postponed(write, claimed, 600)
    job, (attempt,) = records.job(claimed.job_id), records.attempts()
    assert (job.state, job.failures, job.published_at, job.losses) == (JobState.QUEUED, 1, None, 0)
    assert (attempt.outcome, attempt.cause, attempt.first_of_boot) == (Outcome.FAILED, "driver", True)
    assert write(publication.due_retries) == []
    assert write(publication.unpublished) == []
    assert not postponed(write, claimed, 0)

    records.change(claimed.job_id, not_before=now() - timedelta(seconds=1))
    assert write(publication.due_retries) == [claimed.job_id]
    (message,) = [job.message for job in write(publication.unpublished)]
    again = records.claim(message, boot)
    assert (again.attempt_number, again.failures) == (2, 1)
    assert records.job(claimed.job_id).not_before is None


def test_a_clock_that_was_set_back_makes_no_job_wait_as_long(records, claimed, write):
    assert postponed(write, claimed, publication.LONGEST_WAIT.total_seconds() + 60)
    assert write(publication.due_retries) == [claimed.job_id]


def test_a_job_that_failed_in_passing_and_was_to_be_cancelled_is(records, claimed, write):
    write(control.cancel, of_job(claimed.job_id))
    assert postponed(write, claimed, 0)
    assert records.job(claimed.job_id).state == JobState.CANCELLED


def test_a_worker_that_gives_up_its_job_because_of_it_counts_a_loss_and_sets_it_aside_where_it_is_told_to(
    records, write, message
):
    for losses, set_aside, state in ((1, False, JobState.QUEUED), (2, True, JobState.QUARANTINED)):
        claim = records.claim(message, records.boot())
        assert claim.losses == losses - 1
        assert write(attempts.lose, claim, HUNG, set_aside=set_aside)
        job = records.job(message.job)
        assert (job.state, job.losses, job.finished_at is None) == (state, losses, not set_aside)
        assert not write(attempts.lose, claim, HUNG, set_aside=set_aside)
    assert (job.cause, job.error) == (Cause.QUARANTINED, Cause.QUARANTINED.sentence)
    assert [(a.outcome, a.cause) for a in records.attempts()] == [(Outcome.LOST, "hung")] * 2


@pytest.mark.parametrize("set_aside", [False, True])
def test_a_job_that_was_to_be_cancelled_is_whatever_its_worker_does(records, write, claimed, set_aside):
    write(control.cancel, of_job(claimed.job_id))
    assert write(attempts.lose, claimed, HUNG, set_aside=set_aside)
    job = records.job(claimed.job_id)
    assert (job.state, job.cause, job.error) == (JobState.CANCELLED, Cause.CANCELLED, None)
    assert job.finished_at is not None


def test_a_sign_of_life_moves_the_heartbeat_and_tells_of_cancelling(records, claimed, write):
    first = records.job(claimed.job_id).heartbeat_at
    assert write(claims.renew, [claimed]) == {claimed.job_id: False}
    assert records.job(claimed.job_id).heartbeat_at > first
    assert write(control.cancel, of_job(claimed.job_id)) == (0, 1)
    assert write(claims.renew, [claimed]) == {claimed.job_id: True}
    assert records.settle(claimed, Outcome.CANCELLED)
    assert write(claims.renew, [claimed]) == {}
    assert records.job(claimed.job_id).state == JobState.CANCELLED


def test_cancelling_ends_queued_jobs_asks_running_ones_and_leaves_the_rest(records, boot, write):
    batch = records.batch(jobs=4)
    queued, running, succeeded, failed = records.messages(batch)
    (other,) = records.messages(records.batch("other"))
    claim = records.claim(running, boot)
    records.settle(records.claim(succeeded, boot))
    records.settle(records.claim(failed, boot), Outcome.FAILED, cause=Cause.NOT_FINITE, error="no numbers")
    assert write(control.cancel, of_batch(batch)) == (1, 1)
    numbers = [message.job for message in (queued, running, succeeded, failed, other)]
    jobs = [records.job(number) for number in numbers]
    assert [job.state for job in jobs] == ["cancelled", "running", "succeeded", "failed", "queued"]
    assert [job.cancel_requested for job in jobs] == [False, True, False, False, False]
    assert jobs[0].finished_at is not None
    assert jobs[0].cause == "cancelled"
    assert records.claim(queued, boot).job_id == other.job
    # The picture was done before the worker heard of it, and stays.
    assert records.settle(claim, picture="done.png")
    assert records.job(running.job).state == JobState.SUCCEEDED
    assert write(control.cancel, of_batch(batch)) == (0, 0)


@pytest.mark.parametrize("way", ["rescue", "give_back"])
def test_cancelling_holds_when_the_worker_is_lost_before_it_hears_of_it(records, claimed, write, message, way):
    write(control.cancel, of_job(claimed.job_id))
    if way == "rescue":
        assert write(rescue, records.boot(), TRIES) == Rescued([], [])
    else:
        assert write(attempts.give_back, claimed, FULL)
    job, (attempt,) = records.job(claimed.job_id), records.attempts()
    assert (job.state, job.cause, job.cancel_requested) == (JobState.CANCELLED, "cancelled", False)
    assert job.finished_at is not None
    assert attempt.outcome == Outcome.LOST
    assert records.claim(message, records.boot()) is None


def test_retry_queues_failed_jobs_as_if_new(records, boot, write):
    batch = records.batch(jobs=3)
    failed, succeeded, cancelled = records.messages(batch)
    write(control.cancel, of_job(cancelled.job))
    records.settle(records.claim(succeeded, boot), picture="done.png")
    records.settle(records.claim(failed, boot), Outcome.FAILED, cause=Cause.NOT_FINITE, error="no numbers")
    write(publication.mark_published, [failed.job], now())
    finished_at = records.job(failed.job).finished_at
    assert write(control.retry, of_batch(batch)) == 1
    job = records.job(failed.job)
    assert (job.state, job.published_at, job.cause, job.error) == (JobState.QUEUED, None, None, None)
    assert (job.finished_at, job.cancel_requested, job.attempts) == (None, False, 1)
    assert job.queued_at > finished_at
    assert records.job(cancelled.job).state == JobState.CANCELLED
    again = records.claim(failed, boot)
    assert again.attempt_number == 2
    assert records.settle(again)
    states = (JobState.FAILED, JobState.CANCELLED)
    assert write(control.retry, of_batch(batch), states=states) == 1
    assert [records.job(m.job).state for m in (failed, succeeded, cancelled)] == ["succeeded", "succeeded", "queued"]


@pytest.mark.new_database
def test_a_picture_takes_the_database_as_many_steps_whatever_waits(records, boot, write):
    count = steps if records.database.url.startswith("sqlite") else rows_read

    def make(message):
        """Claim the job and settle it, and return how many steps each took."""
        claimed = []
        claiming = write(count, lambda session: claimed.extend(claims.claim(session, message, boot)))
        settled = Result(Outcome.SUCCEEDED, picture="red.png")
        return claiming, write(count, lambda session: attempts.settle(session, claimed[0], settled))

    alone = make(*records.messages(records.batch("alone")))
    batch = records.batch("many", 5_000)
    first, *_, last = records.messages(batch)
    for message in (first, last):
        for taken_alone, among_many in zip(alone, make(message), strict=True):
            assert among_many <= taken_alone + 2


@pytest.mark.parametrize(
    ("before", "after"), [(None, {"edge": {}}), ({"edge": {}}, None), ({"edge": {}}, {"size": {}})]
)
def test_what_was_judged_by_other_limits_is_not_settled(records, boot, write, before, after):
    batch = records.batch(acceptance=Acceptance(before))
    claim = records.claim(records.messages(batch)[0], boot)
    write(record_limits, batch.id, after or {})
    with pytest.raises(LimitsChangedError) as caught:
        records.settle(claim, picture="p.png")
    assert caught.value.limits == after
    assert records.job(claim.job_id).state == JobState.RUNNING
    assert records.settle(replace(claim, checks=after), picture="p.png")
