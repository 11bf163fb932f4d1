"""What is accepted: by the checks, or by a person, whose word counts more; the picture lies where its row says."""

from pathlib import Path

import pytest

from models.figures.progress import batch_progress
from models.pictures.folder import FolderStore
from models.pictures.names import picture_name
from models.records.batches import Acceptance
from models.records.control import Scope, retry
from models.records.judging.acceptance import (
    BY_PERSON,
    Standing,
    accepted_likenesses,
    decide,
    follow_verdicts,
    record_verdicts,
    standing,
    unreached,
)
from models.records.tables import Batch, Job
from models.types.errors import BadInputError, StorageError
from models.types.finding import Finding
from models.types.states import JobState, Outcome

GOOD = Finding("edge", 0.0, passed=True, sentence="it is whole")
BAD = Finding("edge", 0.2, passed=False, sentence="it is cut off")
MUSH = Finding("sharpness", 0.1, passed=False, sentence="it is mush")


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


@pytest.fixture
def make(records, boot, store):
    """Return a maker of a job's picture, which the findings are about."""

    def made(message, *findings):
        claim = records.claim(message, boot)
        bad = not all(finding.passed for finding in findings)
        name = picture_name(claim.batch_id, claim.job_id, rejected=bad)
        aside = store.aside(name, claim.attempt_id)
        aside.write(f"{claim.job_id}".encode())
        with aside.put_in_place(rejected=bad):
            pass
        assert records.settle(claim, Outcome.SUCCEEDED, picture=name, findings=findings, likeness="0badc0de")
        return claim.job_id

    return made


def where(records, store, number):
    """Return a job's state, the folder that its row names, and whether its picture is there and nowhere else."""
    job = records.job(number)
    files = [
        path
        for path in Path(store.shown_folder(job.batch_id)).rglob("*.png")
        if path.name == store.path(job.picture).name
    ]
    assert files == [store.path(job.picture)]
    assert files[0].read_bytes() == str(number).encode()
    return job.state, files[0].parent.name


def test_a_person_has_the_last_word_and_the_machines_stays(records, read, write, store, make):
    batch = records.batch(jobs=2, acceptance=Acceptance({"edge": {}}))
    good, bad = (make(message, found) for message, found in zip(records.messages(batch), (GOOD, BAD), strict=True))
    assert read(standing, batch.id) == Standing(1, 1, {"edge": 1}, 0, 0)
    assert write(decide, store, [bad], accepted=True) == []
    assert write(decide, store, [good], accepted=False) == []
    assert where(records, store, bad) == (JobState.SUCCEEDED, "batch-0001")
    assert where(records, store, good) == (JobState.REJECTED, "rejected")
    assert read(standing, batch.id) == Standing(1, 1, {BY_PERSON: 1}, 2, 0)
    # Whatever is found later.
    write(record_verdicts, {good: [GOOD], bad: [BAD, MUSH]})
    write(follow_verdicts, store, [good, bad])
    assert where(records, store, bad)[0] == JobState.SUCCEEDED
    assert where(records, store, good)[0] == JobState.REJECTED


def test_verdicts_move_pictures_there_and_back(records, write, store, make):
    batch = records.batch(jobs=2)
    first, second = (make(message) for message in records.messages(batch))
    write(record_verdicts, {first: [GOOD, MUSH], second: [GOOD]})
    write(follow_verdicts, store, [first, second])
    assert where(records, store, first) == (JobState.REJECTED, "rejected")
    assert where(records, store, second) == (JobState.SUCCEEDED, "batch-0001")
    write(record_verdicts, {first: [GOOD]})
    write(follow_verdicts, store, [second])
    assert where(records, store, first)[0] == JobState.REJECTED
    write(follow_verdicts, store, [first])
    assert where(records, store, first) == (JobState.SUCCEEDED, "batch-0001")


def test_a_move_that_was_cut_short_is_found_and_made_good(records, write, store, make):
    (message,) = records.messages(records.batch())
    job = make(message)
    here, there = store.path(picture_name(1, job)), store.path(picture_name(1, job, rejected=True))
    there.parent.mkdir()
    here.rename(there)
    assert store.where(records.job(job).picture) == there
    write(decide, store, [job], accepted=False)
    assert where(records, store, job) == (JobState.REJECTED, "rejected")
    there.rename(here)
    assert store.where(records.job(job).picture) == here
    write(decide, store, [job], accepted=True)
    assert where(records, store, job) == (JobState.SUCCEEDED, "batch-0001")


def test_a_picture_that_is_gone_is_not_decided_over(records, write, store, make):
    (message,) = records.messages(records.batch())
    job = make(message)
    store.path(picture_name(1, job)).unlink()
    with pytest.raises(StorageError, match="job-0000000"):
        write(decide, store, [job], accepted=False)
    assert records.job(job).state == JobState.SUCCEEDED


def test_all_that_cannot_be_decided_over_is_named_and_nothing_is_done(records, write, store, make):
    batch = records.batch(jobs=2)
    made = make(records.messages(batch)[0])
    with pytest.raises(BadInputError, match="there is no job 77\njob 2 has no picture: it is queued"):
        write(decide, store, [made, 77, 2], accepted=False)
    assert where(records, store, made)[0] == JobState.SUCCEEDED


def test_what_a_person_rejects_is_replaced_and_the_replacement_taken_back(records, write, store, make):
    batch = records.batch(acceptance=Acceptance({"edge": {}}, target=1, replacements=1))
    job = make(records.messages(batch)[0], GOOD)
    assert write(decide, store, [job], accepted=False) == [2]
    # Twice is once.
    assert write(decide, store, [job], accepted=False) == []
    assert write(decide, store, [job], accepted=True) == []
    assert records.job(2).state == JobState.CANCELLED
    # Whoever has cancelled jobs tried again does not mean one that nobody needs.
    assert write(retry, Scope("all", Job.batch_id == batch.id), (JobState.CANCELLED,)) == 0
    assert write(decide, store, [job], accepted=False) == [2]
    assert records.job(2).state == JobState.QUEUED
    # One that was made stays.
    make(records.messages(batch)[1], GOOD)
    assert write(decide, store, [job], accepted=True) == []
    assert [row.state for row in records.jobs(batch)] == [JobState.SUCCEEDED] * 2


def test_what_will_not_come_is_named_with_its_reason(records, boot, read, write, store, make):
    batch = records.batch(jobs=3, acceptance=Acceptance({"edge": {}}, target=3, replacements=1))
    for place, findings in ((0, (GOOD,)), (1, (BAD,)), (3, (BAD, MUSH))):
        make(records.messages(batch)[place], *findings)
    failing = records.claim(records.messages(batch)[2], boot)
    assert not read(lambda session: batch_progress(session, batch)).is_short
    records.settle(failing, Outcome.FAILED, cause="unexpected", error="the device is on fire")
    first, second = read(unreached, batch.id, 5)
    assert (first.job_id, first.source_line, first.tries, first.reason) == (3, 3, 1, "the device is on fire")
    assert (second.job_id, second.source_line, second.tries) == (4, 2, 2)
    assert second.reason == "edge: it is cut off; sharpness: it is mush"
    assert read(unreached, batch.id, 1) == [first]
    progress = read(lambda session: batch_progress(session, session.get(Batch, batch.id)))
    assert (progress.is_short, progress.done) == (True, (1, 3))


def test_later_pictures_are_compared_with_those_that_are_accepted(records, read, write, store, make):
    batch = records.batch(jobs=3, acceptance=Acceptance({"edge": {}}))
    first, second = (make(message, found) for message, found in zip(records.messages(batch), (GOOD, BAD), strict=False))
    content = bytes.fromhex("0badc0de")
    assert read(accepted_likenesses, batch.id, 0) == [(1, first, content)]
    third = make(records.messages(batch)[2], GOOD)
    assert read(accepted_likenesses, batch.id, 1) == [(3, third, content)]
    write(decide, store, [second], accepted=True)
    assert [job for _, job, _ in read(accepted_likenesses, batch.id, 0)] == [first, second, third]
    assert read(accepted_likenesses, records.batch("other").id, 0) == []


TARGET = Acceptance({"edge": {}}, target=1, replacements=9)


def states(records, batch):
    return [job.state for job in records.jobs(batch)]


@pytest.fixture
def chain(records, make):
    """A batch in which the first picture and what stood in for it were rejected; a third job waits."""
    batch = records.batch(acceptance=TARGET)
    for place in range(2):
        make(records.messages(batch)[place], BAD)
    assert states(records, batch) == [JobState.REJECTED, JobState.REJECTED, JobState.QUEUED]
    return batch


def test_accepting_the_head_of_a_chain_takes_its_tail_back(records, write, store, chain):
    head, middle, tail = (job.id for job in records.jobs(chain))
    write(decide, store, [head], accepted=True)
    assert states(records, chain) == [JobState.SUCCEEDED, JobState.REJECTED, JobState.CANCELLED]
    # And thinking better of it brings that back, and nothing else.
    assert write(decide, store, [head], accepted=False) == [tail]
    assert states(records, chain) == [JobState.REJECTED, JobState.REJECTED, JobState.QUEUED]
    write(decide, store, [middle], accepted=True)
    assert states(records, chain) == [JobState.REJECTED, JobState.SUCCEEDED, JobState.CANCELLED]


def test_a_tail_that_a_worker_has_is_the_last(records, write, store, chain, make):
    head, _, _ = (job.id for job in records.jobs(chain))
    claim = records.claim(records.messages(chain)[2], records.boot(lock_uid="b"))
    write(decide, store, [head], accepted=True)
    assert records.settle(claim, findings=(BAD,), picture="pictures/x.png")
    assert states(records, chain) == [JobState.SUCCEEDED, JobState.REJECTED, JobState.REJECTED]


def test_another_chain_is_left_alone(records, write, store, make):
    batch = records.batch(jobs=2, acceptance=TARGET)
    first, second = records.messages(batch)
    make(second, BAD)
    write(decide, store, [make(first, BAD)], accepted=True)
    assert states(records, batch) == [JobState.SUCCEEDED, JobState.REJECTED, JobState.QUEUED, JobState.CANCELLED]
