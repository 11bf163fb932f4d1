"""Which job a claim takes: the most urgent, then what the device is set up for, then what it is the turn of."""

import pytest
from postgres_rows import rows_read
from sqlalchemy import update
from sqlite_steps import steps

from models.records import claims, publication
from models.records.attempts import Result, give_back
from models.records.tables import Job
from models.types.clock import now
from models.types.errors import InvalidJobError
from models.types.identity import Setup
from models.types.states import JobState, Outcome

SMALL, WIDE = 128, 192


@pytest.fixture
def published(records, write):
    """Return a maker of a batch with a message on the queue for each of its jobs; it returns their numbers."""

    def make(name, widths, **values):
        messages = records.messages(records.batch(name, len(widths), **values))
        for message, width in zip(messages, widths, strict=True):
            records.change(message.job, width=width)
        numbers = [message.job for message in messages]
        write(publication.mark_published, numbers, now())
        return numbers

    return make


@pytest.fixture
def made(records, boot, write, message):
    """Return what is claimed by so many messages, whichever, of a device that is set up for a width."""

    def claim_all(count, width=None):
        found = []
        for _ in range(count):
            setup = None if width is None else setup_of(records.job(message.job), width)
            claimed = write(claims.claim, message, boot, setup)
            found.append(claimed[0].job_id if claimed else None)
        return found

    records.change(message.job, state=JobState.CANCELLED)
    return claim_all


def setup_of(job, width):
    return Setup(job.checkpoint, width, job.height, job.guidance > 1, job.lora)


def test_jobs_of_a_batch_are_made_in_the_order_in_which_they_were_asked_for(published, made):
    numbers = published("first", [SMALL, WIDE, SMALL, WIDE])
    assert made(5) == [*numbers, None]


def test_jobs_of_what_the_device_is_set_up_for_go_before_others(published, made):
    a, b, c, d = published("mixed", [SMALL, WIDE, SMALL, WIDE])
    assert made(5, WIDE) == [b, d, a, c, None]


def test_what_is_more_urgent_comes_first_whatever_it_needs(published, made):
    usual = published("usual", [WIDE, SMALL], priority=5)
    (urgent,) = published("urgent", [SMALL], priority=1)
    assert made(3, WIDE) == [urgent, *usual]


def test_a_message_is_worth_a_job_of_its_queue_alone(records, boot, published, message):
    records.change(message.job, state=JobState.CANCELLED)
    (usual,) = published("usual", [SMALL], priority=5)
    large = published("large", [SMALL, SMALL], priority=1, queue="sdxl")
    assert [records.claim(message, boot).job_id, records.claim(message, boot)] == [usual, None]
    assert [records.claim(message, boot, "sdxl").job_id for _ in large] == large


def test_one_whose_message_was_lost_keeps_its_turn(write, published, made):
    first, second = published("batch", [SMALL, SMALL])
    write(publication.forget_published, jobs=[first])
    write(publication.mark_published, [first], now())
    assert made(2) == [first, second]


def test_one_that_waits_for_its_next_try_is_not_made_before_it_is_time(records, write, published, made):
    (number,) = published("batch", [SMALL])
    records.change(number, published_at=None, not_before=now() + publication.LONGEST_WAIT / 2)
    assert made(1) == [None]


def test_one_without_a_message_is_made_where_none_has_one(records, boot, published):
    """A worker may have a message before its sender has noted that it is sent."""
    first, second = records.messages(records.batch("not yet noted", 2))
    (noted,) = published("noted", [SMALL])
    assert [records.claim(second, boot).job_id for _ in range(3)] == [noted, second.job, first.job]


def test_a_spoiled_row_is_named_and_can_be_refused_and_the_next_is_made(records, boot, write, published, message):
    records.change(message.job, state=JobState.CANCELLED)
    spoiled, good = published("batch", [SMALL, SMALL])
    records.change(spoiled, steps=0)
    with pytest.raises(InvalidJobError, match="steps") as caught:
        records.claim(message, boot)
    assert caught.value.job_id == spoiled
    assert records.job(spoiled).state == JobState.QUEUED
    write(claims.refuse, spoiled, str(caught.value))
    assert (records.job(spoiled).state, records.job(spoiled).cause) == (JobState.FAILED, "invalid")
    assert records.claim(message, boot).job_id == good


#: What claims are counted in, how much counts may differ by, and the most of one: without and with a look for a job
#: that the device is set up for.
COUNTS = {"sqlite": (steps, 2, 10, 450), "postgresql": (rows_read, 20, 30, 2 * claims._LOOKED_AT + 100)}


@pytest.mark.new_database
def test_a_claim_takes_as_many_steps_however_many_jobs_wait(records, boot, write, published, message):
    count, slack, least, most = COUNTS[records.database.url.partition(":")[0].partition("+")[0]]
    setups = {width: setup_of(records.job(message.job), width) if width else None for width in (None, SMALL, WIDE)}
    records.change(message.job, state=JobState.CANCELLED)

    def claim_each():
        return {
            width: write(count, lambda session, setup=setup: claims.claim(session, message, boot, setup))
            for width, setup in setups.items()
        }

    published("few", [SMALL] * (claims._LOOKED_AT + len(setups)))
    among_few = claim_each()
    # Of each priority: neither what is less urgent nor what comes later is looked at.
    for priority in (5, 9):
        numbers = [job.id for job in records.jobs(records.batch(f"many-{priority}", 5_000, priority=priority))]
        write(lambda session, first=numbers[0]: session.execute(update(Job).where(Job.id >= first).values(width=SMALL)))
        for start in range(0, len(numbers), 1_000):
            write(publication.mark_published, numbers[start : start + 1_000], now())
    for width, taken in claim_each().items():
        assert taken <= among_few[width] + slack
    # What is looked at for one of the setup, where the first is of another, is bounded; else it is the first alone.
    assert max(among_few[None], among_few[SMALL]) <= least
    assert among_few[WIDE] <= most


@pytest.fixture
def together(records, boot, write, message):
    """Return what one message claims, with so many together at most."""
    records.change(message.job, state=JobState.CANCELLED)

    def claim(most):
        return [claim.job_id for claim in write(claims.claim, message, boot, None, lambda *_: most)]

    return claim


def test_those_of_the_kind_that_wait_are_counted_for_who_asks(records, boot, write, published, message):
    records.change(message.job, state=JobState.CANCELLED)
    numbers = published("batch", [SMALL] * 5 + [WIDE] * 2)
    # Another guidance cannot go along, and what is running or has no message does not wait.
    records.change(numbers[1], guidance=3.0)
    records.change(numbers[2], published_at=None)
    counted = []

    def most(spec, waiting):
        counted.append((spec.width, waiting()))
        return 1

    for _ in range(3):
        write(claims.claim, message, boot, None, most)
    assert counted == [(SMALL, 3), (SMALL, 1), (SMALL, 2)]


def test_a_message_is_worth_as_many_as_can_go_together_by_powers_of_two(records, published, together):
    numbers = published("batch", [SMALL] * 14)
    assert [together(most) for most in (8, 3, 4, 8)] == [numbers[:8], numbers[8:10], numbers[10:14], []]
    assert {records.job(number).state for number in numbers} == {JobState.RUNNING}
    assert [attempt.job_id for attempt in records.attempts()] == numbers


def test_of_any_batch_but_of_one_kind_guidance_and_priority(records, published, together):
    first, wide, other = published("first", [SMALL, WIDE, SMALL])
    second, steps, guidance, scheduler = published("second", [SMALL] * 4)
    (urgent,) = published("urgent", [SMALL], priority=1)
    published("elsewhere", [SMALL], queue="sdxl")
    records.change(steps, steps=7)
    records.change(guidance, guidance=3.0)
    records.change(scheduler, scheduler="Heun")
    records.change(second, prompt="something else", seed=77)
    claimed = [together(8) for _ in range(6)]
    assert claimed == [[urgent], [first, second], [wide], [steps], [other], [guidance]]


def test_one_that_failed_or_took_its_worker_down_is_made_alone(records, published, together):
    failed, a, lost, b = published("batch", [SMALL] * 4)
    records.change(failed, failures=1)
    records.change(lost, losses=1)
    assert [together(4) for _ in range(3)] == [[failed], [a, b], [lost]]


def test_nobody_comes_along_that_has_no_message(records, write, published, together):
    first, second, third = published("batch", [SMALL] * 3)
    write(publication.forget_published, jobs=[second])
    assert together(4) == [first, third]


def test_a_spoiled_one_is_named_and_the_others_stay_where_they_are(records, published, together):
    numbers = published("batch", [SMALL] * 4)
    records.change(numbers[2], seed=-1)
    with pytest.raises(InvalidJobError, match="seed") as caught:
        together(4)
    assert caught.value.job_id == numbers[2]
    assert {records.job(number).state for number in numbers} == {JobState.QUEUED}
    assert records.attempts() == []


def test_a_claim_waits_where_somebody_has_what_waits_in_hand(records, boot, at_once):
    """Who marks jobs as published holds their rows meanwhile; a claim that found nothing would waste its message."""
    messages = records.messages(records.batch(jobs=3))
    got = []
    at_once(
        lambda session: publication.mark_published(session, [message.job for message in messages], now()),
        lambda: got.append(records.claim(messages[0], boot)),
    )
    assert [claim and claim.job_id for claim in got] == [messages[0].job]


def test_a_claim_waits_for_one_that_comes_to_nothing(records, boot, at_once):
    (message,) = records.messages(records.batch())
    got = []

    def claim_and_give_back(session):
        (claim,) = claims.claim(session, message, boot)
        give_back(session, claim, Result(Outcome.LOST))

    at_once(claim_and_give_back, lambda: got.append(records.claim(message, boot)))
    assert [claim and claim.job_id for claim in got] == [message.job]


def test_a_claim_does_not_wait_for_what_another_takes_where_there_is_more(records, boot, write):
    first, second = records.messages(records.batch(jobs=2))
    with records.database.writing() as session:
        (held,) = claims.claim(session, first, boot)
        if records.database.url.startswith("sqlite"):
            # It has one lock, which a claim waits for in any case.
            return
        assert records.claim(second, boot).job_id == second.job
        assert held.job_id == first.job
