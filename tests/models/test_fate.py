"""What becomes of a job is decided from data."""

import pytest

from models.types.causes import Cause, Trait
from models.types.fate import Fate, Tries, fate
from models.types.states import Outcome

TRIES = Tries(retries=2, quarantine_after=3)
#: Those of jobs alone.
OF_JOBS = (Cause.INVALID, Cause.QUARANTINED)


def of(cause, failures=0, losses=0):
    return fate(cause.outcome, cause, failures, losses, TRIES)


def test_a_picture_settles_its_job():
    assert fate(Outcome.SUCCEEDED, None, 9, 9, TRIES) is Fate.SETTLE


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause not in OF_JOBS])
def test_each_cause_has_one_fate_that_follows_from_its_traits(cause):
    many = 99
    if cause.outcome is not Outcome.LOST:
        assert of(cause) is (Fate.POSTPONE if Trait.MAY_PASS in cause.traits else Fate.SETTLE)
        assert of(cause, failures=many, losses=many) is Fate.SETTLE
    elif Trait.TAKES_WORKER_DOWN in cause.traits:
        assert [of(cause, failures=many, losses=losses) for losses in range(4)] == [
            Fate.LOSE,
            Fate.LOSE,
            Fate.QUARANTINE,
            Fate.QUARANTINE,
        ]
    else:
        assert of(cause, failures=many, losses=many) is Fate.GIVE_BACK


def test_what_may_pass_is_tried_so_often_and_no_more():
    assert [of(Cause.DRIVER, failures) for failures in range(4)] == [
        Fate.POSTPONE,
        Fate.POSTPONE,
        Fate.SETTLE,
        Fate.SETTLE,
    ]
    assert fate(Outcome.FAILED, Cause.DRIVER, 0, 0, Tries(retries=0, quarantine_after=3)) is Fate.SETTLE


@pytest.mark.parametrize("cause", [Cause.DRIVER, Cause.UNEXPECTED])
def test_where_the_process_is_broken_a_cause_that_fails_jobs_fails_none(cause):
    assert fate(Outcome.LOST, cause, 99, 99, TRIES) is Fate.GIVE_BACK
