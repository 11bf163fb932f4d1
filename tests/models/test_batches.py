"""Batches: written at once, found by name, their jobs handed out for publishing in order."""

import pytest
from sqlalchemy import func, select

from models.records import batches, control
from models.records.batches import CHUNK, PlannedJob
from models.records.tables import Batch, Job
from models.types.clock import now
from models.types.errors import BadInputError, NotFoundError
from models.types.job import MAX_SEED
from models.types.states import FINISHED, JobState


def plan(spec, *prompts, **values):
    return [PlannedJob(spec(prompt=prompt, **values), line) for line, prompt in enumerate(prompts, 1)]


def test_a_batch_is_written_with_every_value_of_its_jobs(records, spec, write):
    asked = spec(prompt="größe 你好 👟", negative_prompt="blur", seed=MAX_SEED, steps=500, guidance=0.1, width=2048)
    before = now()
    batch = write(
        batches.create_batch, "red", "shoes.csv", [PlannedJob(asked, 7), PlannedJob(asked)], priority=9, digest="d" * 64
    )
    assert (batch.name, batch.source, batch.fingerprint) == ("red", "shoes.csv", "d" * 64)
    first, second = records.jobs(batch)
    assert [batches.spec_of(job) for job in (first, second)] == [asked, asked]
    assert (first.source_line, second.source_line) == (7, None)
    assert (first.state, first.attempts, first.priority, first.published_at) == (JobState.QUEUED, 0, 9, None)
    assert before <= batch.created_at == first.queued_at <= now()


def test_a_name_is_taken_once_and_a_refused_batch_leaves_nothing(records, spec, write, read):
    records.batch("red", 2)
    with pytest.raises(BadInputError) as caught:
        write(batches.create_batch, "red", "-", plan(spec, "x"), priority=5, digest="d")
    assert caught.value.problems == ["--batch red: a batch of that name is there already; choose another name"]
    assert read(lambda session: session.scalar(select(func.count()).select_from(Job))) == 2
    records.batch("blue")


def test_a_batch_larger_than_a_statement_keeps_its_order(records, spec, write):
    prompts = [f"shoe {number}" for number in range(2 * CHUNK + 1)]
    batch = write(batches.create_batch, "large", "-", plan(spec, *prompts), priority=5, digest="d")
    assert [job.prompt for job in records.jobs(batch)] == prompts


def test_a_batch_that_fails_halfway_leaves_nothing(spec, write, read):
    def fail_after_writing(session):
        batches.create_batch(session, "red", "-", plan(spec, *["a shoe"] * CHUNK), priority=5, digest="d")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(fail_after_writing)
    assert read(lambda session: session.scalar(select(func.count()).select_from(Job))) == 0
    with pytest.raises(NotFoundError):
        read(batches.find_batch, "red")


def test_the_first_free_number_is_taken(records, read):
    for name in ("shoes-1", "shoes-3", "shoes", "shoes-x", "sho_s-1", "sho%-1"):
        records.batch(name)
    assert read(batches.free_name, "shoes") == "shoes-2"
    records.batch("shoes-2")
    assert read(batches.free_name, "shoes") == "shoes-4"
    # These are letters of a name, and not patterns.
    assert read(batches.free_name, "sho_s") == "sho_s-2"
    assert read(batches.free_name, "sh%") == "sh%-1"


def test_a_batch_is_found_by_its_name_and_the_newest_without(records, read):
    first, second = records.batch("red"), records.batch("blue")
    assert read(batches.find_batch, "red").id == first.id
    assert read(batches.find_batch, None).id == second.id


def test_a_name_that_is_not_there_is_answered_with_the_newest_five(records, read):
    for number in range(1, 7):
        records.batch(f"night-{number}")
    with pytest.raises(NotFoundError) as caught:
        read(batches.find_batch, "nigth")
    newest = "night-6, night-5, night-4, night-3, night-2"
    assert str(caught.value) == f"there is no batch 'nigth'; the newest are {newest}"


@pytest.mark.parametrize("name", [None, "red"])
def test_without_any_batch_the_error_says_how_to_make_one(read, name):
    with pytest.raises(NotFoundError) as caught:
        read(batches.find_batch, name)
    assert str(caught.value) == "there is no batch yet: `producer enqueue --prompts FILE` makes one"


def test_seeds_that_were_drawn_do_not_count(spec):
    def digest(seed, *, asked):
        made = batches.Fingerprint()
        made.add(spec(seed=seed), seed_asked=asked)
        return made.hex()

    assert digest(1, asked=False) == digest(2, asked=False)
    assert digest(1, asked=True) == digest(1, asked=True)
    assert len({digest(1, asked=False), digest(1, asked=True), digest(2, asked=True)}) == 3
    # 64 characters are what the column holds.
    assert len(digest(1, asked=True)) == 64


def test_order_and_number_of_jobs_count(spec):
    red, blue = spec(prompt="red"), spec(prompt="blue")

    def digest(*specs):
        made = batches.Fingerprint()
        for one in specs:
            made.add(one, seed_asked=True)
        return made.hex()

    assert len({digest(red), digest(blue), digest(red, red), digest(red, blue), digest(blue, red), digest()}) == 6


@pytest.mark.parametrize("state", JobState)
def test_a_batch_is_unfinished_while_a_job_is_queued_or_running(records, read, write, state):
    batch = records.batch(jobs=2, digest="same")
    done, other = records.jobs(batch)
    records.change(done.id, state=JobState.SUCCEEDED)
    records.change(other.id, state=state)
    found = read(batches.find_unfinished, "same")
    assert (found and found.id) == (None if state in FINISHED else batch.id)


def test_the_newest_unfinished_batch_of_the_fingerprint_is_found(records, read, write):
    older, newer, done = (records.batch(name, digest="same") for name in ("a", "b", "c"))
    records.batch("d", digest="other")
    write(control.cancel, control.Scope("some", Job.batch_id == done.id))
    assert read(batches.find_unfinished, "same").id == newer.id
    write(control.cancel, control.Scope("some", Job.batch_id == newer.id))
    assert read(batches.find_unfinished, "same").id == older.id
    assert read(batches.find_unfinished, "none") is None


def test_every_batch_has_a_uid_of_its_own(records, read):
    for name in ("a", "b", "c"):
        records.batch(name)
    uids = read(lambda session: list(session.scalars(select(Batch.uid))))
    assert len(set(uids)) == 3


@pytest.mark.parametrize("same", [True, False])
def test_two_that_ask_for_the_same_at_the_same_moment_make_one_batch(records, at_once, spec, same):
    digests = ["a" * 64, "a" * 64 if same else "b" * 64]
    made = []

    def ask(session, digest):
        found = batches.find_same(session, digest, alone=True)
        made.append(
            found or batches.create_batch(session, f"b{len(made)}", "-", plan(spec, "x"), priority=5, digest=digest)
        )

    def ask_too():
        with records.database.writing() as session:
            ask(session, digests[1])

    at_once(lambda session: ask(session, digests[0]), ask_too)
    assert len({batch.id for batch in made}) == (1 if same else 2)
