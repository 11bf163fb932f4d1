"""Filling a batch: what is missing once, with seeds of its own, and nothing of what is there or to come."""

import pytest
from installation import Installation
from made_rows import Made, write_batch
from sqlalchemy import select

from models.figures.coverage import Lack, coverage, fill, lacks
from models.figures.progress import batch_progress
from models.records.batches import find_batch
from models.records.judging.replacements import replace
from models.records.tables import Batch, Job
from models.types.states import JobState

RED, BLUE, GREEN = ({"colour": colour} for colour in ("red", "blue", "green"))


@pytest.fixture
def nightshift(installation):
    """Three red pictures of two prompts, a blue one that is rejected beside one that is not, and a green one."""
    with installation() as made:
        write_batch(made, "other", [Made(attributes=RED)] * 5, files=False)
        write_batch(
            made,
            "shoes",
            [
                Made("a red boot", 1, RED),
                Made("a red loafer", 1, RED),
                Made("a red boot", 2, RED),
                Made("a blue boot", 3, BLUE, ["colour"]),
                Made("a blue boot", 4, BLUE),
                Made("a green boot", 5, GREEN),
            ],
            files=False,
        )
        yield made


def shoes(session) -> Batch:
    return session.scalar(select(Batch).where(Batch.name == "shoes"))


def filled(nightshift: Installation, each: int) -> tuple[list[Lack], list[Job]]:
    with nightshift.database.writing() as session:
        before = max(session.scalars(select(Job.id)))
        found = fill(session, shoes(session).id, each)
    with nightshift.database.reading() as session:
        jobs = list(session.scalars(select(Job).where(Job.id > before).order_by(Job.id)))
    return found, jobs


def test_each_combination_gets_what_it_lacks(nightshift: Installation):
    found, jobs = filled(nightshift, 4)
    assert found == [Lack(RED, 1), Lack(BLUE, 3), Lack(GREEN, 3)]
    assert {job.batch_id for job in jobs} == {2}
    assert {job.state for job in jobs} == {JobState.QUEUED}
    assert {job.published_at for job in jobs} == {None}
    assert [job.attributes for job in jobs] == [RED, *[BLUE] * 3, *[GREEN] * 3]
    assert [job.prompt for job in jobs] == ["a red boot", *["a blue boot"] * 3, *["a green boot"] * 3]
    with nightshift.database.reading() as session:
        pairs = [(job.prompt, job.seed) for job in session.query(Job).filter_by(batch_id=2)]
    assert len(set(pairs)) == len(pairs) == 13


def test_what_is_to_come_counts_so_that_nothing_is_queued_twice(nightshift: Installation):
    filled(nightshift, 4)
    assert filled(nightshift, 4) == ([], [])
    found, jobs = filled(nightshift, 5)
    assert [lack.count for lack in found] == [1, 1, 1]
    assert jobs[0].prompt == "a red boot"


def test_the_prompts_of_a_combination_are_taken_in_turn(nightshift: Installation):
    _, jobs = filled(nightshift, 6)
    assert [job.prompt for job in jobs if job.attributes == RED] == ["a red boot", "a red loafer", "a red boot"]


def test_what_came_to_nothing_is_stood_in_for_and_the_rest_is_added(nightshift: Installation):
    with nightshift.database.writing() as session:
        shoes(session).target = 6
        rejected = session.scalar(select(Job.id).where(Job.state == JobState.REJECTED))
    _, jobs = filled(nightshift, 3)
    assert [(job.attributes, job.replaces, job.replacement) for job in jobs] == [
        (BLUE, rejected, 1),
        (BLUE, None, 0),
        (GREEN, None, 0),
        (GREEN, None, 0),
    ]
    with nightshift.database.writing() as session:
        assert shoes(session).target == 9
        assert replace(session, [rejected]) == []
        for job in session.query(Job).filter_by(state=JobState.QUEUED):
            job.state = JobState.SUCCEEDED
    with nightshift.database.reading() as session:
        assert [(one.asked, one.accepted, one.missing) for one in coverage(session, 2)] == [(3, 3, 0)] * 3
        assert not batch_progress(session, find_batch(session, "shoes")).is_short
        assert lacks(session, 2, 3) == []


def test_only_looking_changes_nothing(nightshift: Installation):
    with nightshift.database.reading() as session:
        assert lacks(session, 2, 4) == [Lack(RED, 1), Lack(BLUE, 3), Lack(GREEN, 3)]
        assert session.query(Job).filter_by(batch_id=2).count() == 6


def test_the_command_queues_and_says_what(nightshift: Installation):
    looked = nightshift.producer("enqueue", "--fill", "shoes", "--each", 4, "--dry-run")
    assert looked.stdout.splitlines() == [
        "shoes: 7 jobs would be queued",
        "  1 of colour = red",
        "  3 of colour = blue",
        "  3 of colour = green",
        "Nothing was queued (--dry-run).",
    ]
    done = nightshift.producer("enqueue", "--fill", "shoes", "--each", 4)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "shoes: 7 jobs queued")
    with nightshift.database.reading() as session:
        queued = session.query(Job).filter_by(state=JobState.QUEUED).all()
    assert len(queued) == 7
    assert all(job.published_at is not None for job in queued)
    again = nightshift.producer("enqueue", "--fill", "shoes", "--each", 4)
    assert (again.returncode, again.stdout) == (0, "shoes: nothing is missing for 4 of each\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fill", "shoes"), "--fill BATCH and --each N go together"),
        (("--each", "3"), "--fill BATCH and --each N go together"),
        (("--fill", "shoes", "--each", "0"), "0 is not in the range"),
        (("--fill", "nope", "--each", "3"), "there is no batch 'nope'"),
        (("--fill", "shoes", "--each", "3", "--steps", "4"), "--steps is for new prompts"),
        (("--fill", "shoes", "--each", "3", "--prompt", "a boot"), "--prompt is for new prompts"),
        (("--fill", "shoes", "--each", "3", "--new"), "--new is for new prompts"),
    ],
)
def test_what_cannot_be_is_one_line(nightshift: Installation, arguments, said):
    done = nightshift.producer("enqueue", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
