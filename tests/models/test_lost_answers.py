"""Every write that is tried again knows its own earlier success, whose answer was lost on the way."""

from collections.abc import Callable

import pytest

from models.records import attempts, claims
from models.records.attempts import Ended, Recorded, Result
from models.records.boots import record_load
from models.records.rescue import rescue
from models.records.tables import Load
from models.types.causes import Cause
from models.types.clock import now
from models.types.fate import Tries
from models.types.finding import Finding
from models.types.identity import Knobs, Weights
from models.types.measurement import LoadMeasurement, MemoryReading
from models.types.states import JobState, Outcome

LOST = Result(Outcome.LOST, cause=Cause.STOPPED, error="told to end")
FAILED = Result(Outcome.FAILED, cause=Cause.DRIVER, error="the driver")
BAD = Finding("edge", 0.2, passed=False, sentence="it is cut off")
MADE = Result(Outcome.SUCCEEDED, picture="p.png")
REJECTED = Result(Outcome.SUCCEEDED, picture="p.png", findings=(BAD,))
#: Each way an attempt ends, with what its job is then.
ENDS: dict[str, tuple[Callable[..., Recorded], str]] = {
    "settle": (lambda session, claim, ended: attempts.settle(session, claim, MADE, ended).recorded, "succeeded"),
    "reject": (
        lambda session, claim, ended: attempts.settle(session, claim, REJECTED, ended).recorded,
        "rejected",
    ),
    "fail": (lambda session, claim, ended: attempts.settle(session, claim, FAILED, ended).recorded, "failed"),
    "postpone": (lambda session, claim, ended: attempts.postpone(session, claim, FAILED, 60, ended), "queued"),
    "give_back": (lambda session, claim, ended: attempts.give_back(session, claim, LOST, ended), "queued"),
    "lose": (lambda session, claim, ended: attempts.lose(session, claim, LOST, set_aside=False, ended=ended), "queued"),
}


@pytest.fixture
def claimed(records, message, boot):
    return records.claim(message, boot)


@pytest.mark.parametrize("way", ENDS)
def test_the_end_of_an_attempt_is_recorded_once_and_known_again(records, claimed, write, way):
    end, state = ENDS[way]
    ended = Ended.now()
    assert write(end, claimed, ended=ended) is Recorded.NOW
    after = records.job(claimed.job_id)
    assert write(end, claimed, ended=ended) is Recorded.EARLIER
    again = records.job(claimed.job_id)
    assert (after.state, again.state) == (state, state)
    assert (again.losses, again.failures, again.queued_at) == (after.losses, after.failures, after.queued_at)


@pytest.mark.parametrize("way", ENDS)
def test_what_another_has_ended_is_not_taken_for_its_own(records, claimed, write, way):
    end, _ = ENDS[way]
    write(rescue, records.boot(), Tries(retries=0, quarantine_after=3))
    assert write(end, claimed, ended=Ended.now()) is Recorded.NOT


@pytest.mark.parametrize("way", ENDS)
def test_what_ended_in_time_is_known_although_the_job_has_gone_on(records, claimed, write, way, message):
    end, state = ENDS[way]
    ended = Ended.now()
    write(end, claimed, ended=ended)
    if state == JobState.QUEUED:
        records.change(claimed.job_id, not_before=None)
        assert records.claim(message, records.boot()).attempt_number == 2
    assert write(end, claimed, ended=ended) is Recorded.EARLIER


def test_a_claim_is_had_again_as_it_was(records, claimed, write, boot):
    again = write(claims.unanswered_claims, boot, lambda *_: False)
    assert again == [claimed]
    assert [attempt.number for attempt in records.attempts()] == [1]


def test_a_claim_that_somebody_works_on_is_not_had_twice(records, claimed, write, boot):
    in_hand = {(claimed.job_id, claimed.attempt_number)}
    assert write(claims.unanswered_claims, boot, lambda *which: which in in_hand) == []
    other = records.claim(records.messages(records.batch("other"))[0], boot)
    assert write(claims.unanswered_claims, boot, lambda *which: which in in_hand) == [other]


def test_a_claim_of_another_boot_is_not_had(records, claimed, write):
    assert write(claims.unanswered_claims, records.boot(), lambda *_: False) == []


def test_a_claim_that_has_ended_is_not_had(records, claimed, write, boot):
    records.settle(claimed, picture="p.png")
    assert write(claims.unanswered_claims, boot, lambda *_: False) == []


def test_a_load_is_recorded_once(records, boot, write):
    memory = MemoryReading(rss=10**8, available=10**10)
    measured = LoadMeasurement(
        weights=Weights("demo"),
        revision="0" * 40,
        knobs=Knobs(attention_slicing=False),
        load_s=1.0,
        warmup_s=1.0,
        warmup_steps=2,
        before=memory,
        after=memory,
    )
    moment = now()
    number = write(record_load, boot, measured, moment)
    assert write(record_load, boot, measured, moment) == number
    # The same weights loaded anew are another load, and another boot's are its own.
    others = {write(record_load, boot, measured), write(record_load, records.boot(), measured, moment)}
    assert number not in others
    with records.database.reading() as session:
        assert len(session.query(Load).all()) == 3
