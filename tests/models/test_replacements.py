"""Replacing what was not accepted: with the end of the job, once, and as often as the batch allows."""

import pytest

from models.records import attempts, control
from models.records.batches import Acceptance, spec_of
from models.records.judging import replacements
from models.records.publication import due_retries, mark_published
from models.records.rescue import rescue
from models.records.tables import Batch, Job
from models.types import job as seeds
from models.types.causes import Cause
from models.types.clock import now
from models.types.errors import DatabaseError
from models.types.fate import Tries
from models.types.finding import Finding
from models.types.states import JobState, Outcome

TARGET = Acceptance({"edge": {}}, target=2, replacements=2)
GOOD = Finding("edge", 0.0, passed=True, sentence="it is whole")
BAD = Finding("edge", 0.2, passed=False, sentence="it is cut off")
PICTURE = {"picture": "pictures/x.png"}


@pytest.fixture
def batch(records):
    return records.batch(jobs=2, acceptance=TARGET)


def end(records, boot, batch, number, *findings, outcome=Outcome.SUCCEEDED, **values):
    """Claim the batch's job with this place, settle it, and return its row."""
    claim = records.claim(records.messages(batch)[number], boot)
    assert records.settle(claim, outcome, findings=findings, **values)
    return records.job(claim.job_id)


def test_a_rejected_picture_is_replaced_by_the_same_prompt_with_another_seed(records, boot, batch, read):
    records.change(1, attributes={"colour": "red"})
    rejected = end(records, boot, batch, 0, BAD, picture="pictures/rejected/x.png")
    *others, made = records.jobs(batch)
    assert (rejected.state, rejected.picture, len(others)) == (JobState.REJECTED, "pictures/rejected/x.png", 2)
    assert (made.state, made.replaces, made.replacement, made.published_at) == (JobState.QUEUED, rejected.id, 1, None)
    assert spec_of(made) == changed_seed(rejected, made.seed)
    assert made.seed not in {job.seed for job in others}
    assert (made.attributes, made.source_line, made.priority) == ({"colour": "red"}, 1, rejected.priority)
    # Where nobody else publishes it, whoever looks after the queue does.
    assert read(due_retries) == [made.id]


def changed_seed(job, seed):
    return spec_of(job).model_copy(update={"seed": seed})


def test_what_is_accepted_is_not_replaced(records, boot, batch):
    accepted = end(records, boot, batch, 0, GOOD, **PICTURE)
    assert (accepted.state, len(records.jobs(batch))) == (JobState.SUCCEEDED, 2)


def test_no_picture_is_replaced_more_often_than_the_batch_allows(records, boot, batch):
    for place in (0, 2, 3):
        end(records, boot, batch, place, BAD, **PICTURE)
    jobs = records.jobs(batch)
    assert [job.replacement for job in jobs] == [0, 0, 1, 2]
    assert len({job.seed for job in jobs}) == 4
    # The other one has its own.
    end(records, boot, batch, 1, BAD, **PICTURE)
    assert [job.replaces for job in records.jobs(batch)] == [None, None, 1, 3, 2]


def test_the_same_start_leads_to_the_same_seeds(records, boot):
    found = []
    for name in ("one", "two"):
        batch = records.batch(name, acceptance=TARGET, seed=7)
        end(records, boot, batch, 0, BAD, **PICTURE)
        found.append(records.jobs(batch)[1].seed)
    assert found[0] == found[1] != 7


def test_a_seed_that_the_prompt_has_already_is_passed_over(records, boot, monkeypatch):
    # So few that each one is soon taken, as among the 4,294,967,296 that there are with some thousands of pictures.
    monkeypatch.setattr(seeds, "DRAWN_SEEDS", 8)
    batch = records.batch(jobs=5, acceptance=TARGET)
    for place in range(3):
        end(records, boot, batch, place, BAD, **PICTURE)
    assert len({job.seed for job in records.jobs(batch)}) == 8


def test_another_prompt_may_have_the_same_seed(records, boot):
    """Or the order in which pictures are rejected would decide over what is made."""
    batch = records.batch(jobs=2, acceptance=TARGET, seed=7)
    records.change(2, prompt="a blue shoe")
    for place in range(2):
        end(records, boot, batch, place, BAD, **PICTURE)
    assert len({job.seed for job in records.jobs(batch)[2:]}) == 1


@pytest.mark.parametrize("acceptance", [None, Acceptance({"edge": {}})], ids=["no checks", "checks"])
def test_without_a_target_nothing_is_replaced(records, boot, acceptance):
    batch = records.batch(acceptance=acceptance)
    rejected = end(records, boot, batch, 0, BAD, **PICTURE)
    assert (rejected.state, len(records.jobs(batch))) == (JobState.REJECTED, 1)


@pytest.mark.parametrize("cause", Cause)
def test_of_what_failed_that_is_replaced_which_another_seed_may_make(records, boot, batch, cause):
    failed = end(records, boot, batch, 0, outcome=Outcome.FAILED, cause=cause, error="no picture")
    replaced = cause in (Cause.NOT_FINITE, Cause.BLOCKED)
    assert (failed.state, len(records.jobs(batch))) == (JobState.FAILED, 3 if replaced else 2)


def test_what_came_too_late_is_not_replaced(records, boot, batch, write):
    claim = records.claim(records.messages(batch)[0], boot)
    write(rescue, records.boot(), Tries(retries=0, quarantine_after=3))
    assert not records.settle(claim, findings=(BAD,), **PICTURE)
    assert [job.state for job in records.jobs(batch)] == [JobState.QUEUED, JobState.QUEUED]


def test_nothing_is_replaced_twice(records, boot, batch, write):
    rejected = end(records, boot, batch, 0, BAD, **PICTURE)
    assert write(replacements.replace, [rejected.id]) == []
    assert len(records.jobs(batch)) == 3
    # Were two workers to do so at the same moment, the database would not have it.
    with pytest.raises(DatabaseError, match="replaces"):
        records.change(2, replaces=rejected.id)


def test_what_fails_to_settle_leaves_no_replacement(records, boot, batch):
    claim = records.claim(records.messages(batch)[0], boot)

    def settle_and_fail():
        with records.database.writing() as session:
            assert attempts.settle(session, claim, attempts.Result(Outcome.SUCCEEDED, findings=(BAD,)))
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        settle_and_fail()
    assert [job.state for job in records.jobs(batch)] == [JobState.RUNNING, JobState.QUEUED]


def test_retry_leaves_alone_what_is_replaced(records, boot, batch, write):
    failed = end(records, boot, batch, 0, outcome=Outcome.FAILED, cause=Cause.BLOCKED, error="blocked")
    other = end(records, boot, batch, 1, outcome=Outcome.FAILED, cause=Cause.DRIVER, error="the driver")
    scope = control.Scope("all", Job.batch_id == batch.id)
    assert write(control.retry, scope) == 1
    assert (records.job(failed.id).state, records.job(other.id).state) == (JobState.FAILED, JobState.QUEUED)


def test_what_lacks_its_replacement_gets_it_when_asked(records, boot, write):
    batch = records.batch(acceptance=Acceptance({"edge": {}}))
    end(records, boot, batch, 0, BAD, **PICTURE)
    scope = control.Scope("all", Job.batch_id == batch.id)
    assert write(control.replace_rejected, scope) == 0
    with records.database.writing() as session:
        row = session.get_one(Batch, batch.id)
        row.target, row.replacements = 1, 1
    assert write(control.replace_rejected, scope) == 1
    assert write(control.replace_rejected, scope) == 0


def test_what_no_stand_in_is_left_for_is_given_up(records, boot, batch):
    def unreached_jobs():
        with records.database.reading() as session:
            return session.scalars(replacements.unreached_jobs(batch.id)).all()

    end(records, boot, batch, 0, BAD, **PICTURE)
    end(records, boot, batch, 1, GOOD, **PICTURE)
    assert unreached_jobs() == []
    end(records, boot, batch, 2, BAD, **PICTURE)
    assert unreached_jobs() == []
    end(records, boot, batch, 3, BAD, **PICTURE)
    assert unreached_jobs() == [4]


def test_a_published_replacement_is_due_no_more(records, boot, batch, read, write):
    end(records, boot, batch, 0, BAD, **PICTURE)
    write(mark_published, [3], now())
    assert read(due_retries) == []
