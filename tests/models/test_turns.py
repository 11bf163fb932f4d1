"""Batches of one priority that wait at the same time take turns."""

import pytest
from sqlalchemy import update

from models.figures import coverage
from models.records import attempts, claims, control, publication
from models.records.attempts import Result
from models.records.batches import Acceptance
from models.records.tables import Job
from models.types.causes import Cause
from models.types.clock import now
from models.types.states import JobState, Outcome


@pytest.fixture
def publish(records, write):
    """Return a function that notes a message for each job of the batch that lacks one."""

    def note(batch):
        waiting = [job.id for job in records.jobs(batch) if job.state == JobState.QUEUED and job.published_at is None]
        write(publication.mark_published, waiting, now())
        return batch

    return note


@pytest.fixture
def enqueue(records, publish):
    def make(name, jobs, **values):
        return publish(records.batch(name, jobs, **values))

    return make


@pytest.fixture
def claim(boot, write, message):
    """Return a function that claims the next job."""
    return lambda: write(claims.claim, message, boot)[0]


@pytest.fixture(autouse=True)
def nothing_else(records, message):
    records.change(message.job, state=JobState.CANCELLED)


@pytest.fixture
def made(claim):
    """Return a function that claims so many jobs, one after the other, and returns the names of their batches."""
    return lambda count: [claim().batch_name for _ in range(count)]


def test_a_small_batch_does_not_wait_behind_a_large_one(enqueue, made):
    enqueue("large", 100)
    assert made(30) == ["large"] * 30
    enqueue("small", 5)
    assert made(12) == ["large", "small"] * 5 + ["large"] * 2


def test_the_large_one_is_not_left_behind_by_small_ones_that_keep_coming(enqueue, made):
    enqueue("large", 100)
    for number in range(10):
        enqueue(f"small {number}", 3)
        assert made(6).count("large") == 3


def test_three_are_made_at_the_same_pace(enqueue, made):
    for name in ("a", "b", "c"):
        enqueue(name, 10)
    assert made(12) == ["a", "b", "c"] * 4


def test_what_is_more_urgent_shares_with_nobody(enqueue, made):
    enqueue("usual", 5)
    enqueue("urgent", 3, priority=1)
    assert made(5) == ["urgent"] * 3 + ["usual"] * 2


def test_queues_have_turns_of_their_own(records, enqueue, made):
    enqueue("usual", 30)
    made(20)
    (job,) = records.jobs(enqueue("large", 1, queue="sdxl"))
    assert job.turn == 0


def test_one_that_is_put_back_lets_some_others_go_before_and_not_all(records, write, publish, enqueue, claim):
    batch = enqueue("large", 100)
    first = claim()
    write(attempts.lose, first, Result(Outcome.LOST), set_aside=False)
    publish(batch)
    order = [claim().job_id for _ in range(20)]
    # Ten turns, and the one that has the same turn as it and has waited longer.
    assert order.index(first.job_id) == 11
    order.remove(first.job_id)
    assert order == sorted(order)


def test_a_batch_that_is_tried_again_has_its_turns_like_any_other(records, write, publish, enqueue, claim, made):
    batch = enqueue("failed", 10)
    for _ in range(10):
        records.settle(claim(), Outcome.FAILED, cause=Cause.UNEXPECTED, error="e")
    enqueue("other", 50)
    assert made(20) == ["other"] * 20
    assert write(lambda session: control.retry(session, control.batch_scope(session, "failed"))) == 10
    publish(batch)
    assert sorted(made(6)) == ["failed"] * 3 + ["other"] * 3


def test_what_stands_in_for_a_rejected_picture_has_the_present_turn(records, publish, enqueue, claim):
    wanted = enqueue("wanted", 10, acceptance=Acceptance(checks={}, target=10, replacements=3))
    first = claim()
    records.settle(first, Outcome.FAILED, cause=Cause.NOT_FINITE, error="e")
    publish(wanted)
    following = [claim() for _ in range(2)]
    (replacement,) = [job.id for job in records.jobs(wanted) if job.replaces == first.job_id]
    assert replacement in [one.job_id for one in following]


def test_what_a_batch_lacked_is_filled_in_turn(records, write, publish, enqueue, claim, made):
    lacking = enqueue("lacking", 1)
    write(
        lambda session: session.execute(update(Job).where(Job.batch_id == lacking.id).values(attributes={"k": "red"}))
    )
    records.settle(claim(), Outcome.SUCCEEDED)
    enqueue("other", 30)
    made(10)
    write(coverage.fill, lacking.id, 5)
    publish(lacking)
    assert made(8) == ["other", "lacking"] * 4
