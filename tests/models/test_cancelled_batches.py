"""A cancelled batch begins nothing more, whatever ends after it and in whatever order the transactions come."""

from typing import Any

import pytest

from models.figures import coverage
from models.pictures.folder import FolderStore
from models.pictures.names import picture_name
from models.records import attempts, control
from models.records.batches import Acceptance
from models.records.judging import acceptance, replacements
from models.records.tables import Batch
from models.types.causes import Cause
from models.types.finding import Finding
from models.types.states import JobState, Outcome

TARGET = Acceptance({"edge": {}}, target=2, replacements=9)
BAD = Finding("edge", 0.2, passed=False, sentence="it is cut off")
ENDS: dict[str, dict[str, Any]] = {
    "rejected": {"outcome": Outcome.SUCCEEDED, "findings": (BAD,), "picture": "pictures/x.png"},
    "failed": {"outcome": Outcome.FAILED, "cause": Cause.BLOCKED, "error": "blocked"},
}
RESULTS = {name: attempts.Result(**values) for name, values in ENDS.items()}


@pytest.fixture
def batch(records):
    return records.batch(jobs=2, acceptance=TARGET)


@pytest.fixture
def claim(records, batch, boot):
    """The claim of the first of two jobs; the other one waits."""
    return records.claim(records.messages(batch)[0], boot)


@pytest.fixture
def cancel(write, read, batch):
    def cancel():
        return write(control.cancel, read(control.batch_scope, batch.name))

    return cancel


@pytest.fixture
def states(records, batch):
    return lambda: [job.state for job in records.jobs(batch)]


@pytest.mark.parametrize("how", ENDS)
def test_what_ends_after_it_is_not_replaced(records, claim, cancel, states, how):
    assert cancel() == (1, 1)
    assert records.settle(claim, **ENDS[how])
    assert states() == [JobState.REJECTED if how == "rejected" else JobState.FAILED, JobState.CANCELLED]


@pytest.mark.parametrize("how", ENDS)
def test_a_job_that_is_cancelled_by_itself_is_not_replaced_either(records, claim, write, read, states, how):
    assert write(control.cancel, read(control.job_scope, claim.job_id)) == (0, 1)
    assert records.settle(claim, **ENDS[how])
    assert len(states()) == 2
    # The other job is nobody's business.
    assert states()[1] == JobState.QUEUED


@pytest.mark.parametrize("how", ENDS)
def test_what_was_replaced_before_it_is_cancelled_with_it(records, claim, cancel, states, how):
    assert records.settle(claim, **ENDS[how])
    assert cancel() == (2, 0)
    assert states()[1:] == [JobState.CANCELLED] * 2


def test_a_person_who_rejects_a_picture_of_it_begins_nothing(records, claim, cancel, states, write, tmp_path):
    store, name = FolderStore(tmp_path), picture_name(claim.batch_id, claim.job_id)
    store.path(name).parent.mkdir(parents=True)
    store.path(name).touch()
    records.settle(claim, picture=name)
    cancel()
    assert write(acceptance.decide, store, [claim.job_id], accepted=False) == []
    assert states() == [JobState.REJECTED, JobState.CANCELLED]


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("cancelled_first", [True, False])
def test_the_end_of_a_job_and_the_end_of_its_batch_at_the_same_moment(
    records, claim, states, batch, at_once, how, cancelled_first
):
    def settle(session):
        assert attempts.settle(session, claim, RESULTS[how])

    def cancel(session):
        control.cancel(session, control.batch_scope(session, batch.name))

    def in_its_own(action):
        def run():
            with records.database.writing() as session:
                action(session)

        return run

    first, then = (cancel, settle) if cancelled_first else (settle, cancel)
    at_once(first, in_its_own(then))
    assert JobState.QUEUED not in states()
    assert JobState.RUNNING not in states()


@pytest.mark.parametrize("cancelled_first", [True, False])
def test_a_person_who_rejects_a_picture_at_the_moment_of_the_cancelling(
    records, claim, states, batch, at_once, tmp_path, cancelled_first
):
    """The job is done, so neither meets the other there: it is the batch that one of them waits for."""
    store, name = FolderStore(tmp_path), picture_name(claim.batch_id, claim.job_id)
    store.path(name).parent.mkdir(parents=True)
    store.path(name).touch()
    records.settle(claim, picture=name)

    def reject(session):
        acceptance.decide(session, store, [claim.job_id], accepted=False)

    def cancel(session):
        control.cancel(session, control.batch_scope(session, batch.name))

    first, then = (cancel, reject) if cancelled_first else (reject, cancel)

    def beside():
        with records.database.writing() as session:
            then(session)

    at_once(first, beside)
    assert JobState.QUEUED not in states()


@pytest.mark.parametrize("whole_batch", [True, False])
def test_a_job_that_a_worker_puts_back_at_the_same_moment_is_cancelled(records, claim, batch, at_once, whole_batch):
    def put_back(session):
        assert attempts.give_back(session, claim, attempts.Result(Outcome.LOST, cause=Cause.STOPPED))

    def cancel():
        with records.database.writing() as session:
            scope = control.batch_scope(session, batch.name)
            control.cancel(session, scope if whole_batch else control.job_scope(session, claim.job_id))

    at_once(put_back, cancel)
    assert records.job(claim.job_id).state == JobState.CANCELLED


def test_retry_makes_it_one_that_goes_on(records, claim, cancel, states, write, read, boot, batch):
    records.settle(claim, **ENDS["failed"])
    cancel()
    scope = read(control.batch_scope, batch.name)
    assert write(control.retry, scope, (JobState.CANCELLED,)) == 2
    assert states() == [JobState.FAILED, JobState.QUEUED, JobState.QUEUED]
    again = records.claim(records.messages(batch)[1], boot)
    assert records.settle(again, **ENDS["rejected"])
    # And what is rejected now has its replacement.
    assert states() == [JobState.FAILED, JobState.REJECTED, JobState.QUEUED, JobState.QUEUED]


def test_a_fill_makes_it_one_that_goes_on(records, claim, cancel, states, write, boot, batch):
    records.settle(claim, picture="pictures/x.png")
    cancel()
    with records.database.writing() as session:
        coverage.fill(session, batch.id, 2)
        assert session.get(Batch, batch.id).cancelled_at is None
    assert states()[-1] == JobState.QUEUED


def test_one_batch_is_cancelled_and_no_other(records, cancel, boot, claim, states):
    other = records.batch("other", acceptance=TARGET)
    cancel()
    mine = records.claim(records.messages(other)[0], boot)
    assert records.settle(mine, **ENDS["rejected"])
    assert [job.state for job in records.jobs(other)] == [JobState.REJECTED, JobState.QUEUED]
    assert write_nothing_more(records, other)


def write_nothing_more(records, batch):
    """Tell whether a second look replaces nothing again."""
    with records.database.writing() as session:
        return replacements.replace(session, [records.jobs(batch)[0].id]) == []
