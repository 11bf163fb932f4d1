"""Jobs that need the same of the device run together, where priority allows, and not for ever."""

import shutil
from contextlib import contextmanager
from itertools import groupby

from faults import faulty

from models.checkpoints import DEMO_FOLDER
from models.records.control import pause, resume
from models.records.tables import Attempt, Job, Load
from models.types.states import JobState


@contextmanager
def paused(nightshift):
    """Have all that is enqueued in the block wait at once."""
    with nightshift.database.writing() as session:
        pause(session)
    yield
    with nightshift.database.writing() as session:
        resume(session)


def made_in_order(nightshift):
    """Return the jobs' numbers in the order in which they were made."""
    assert {job.state for job in nightshift.wait_until_finished()} == {JobState.SUCCEEDED}
    rows = nightshift.rows(Attempt)
    assert [row.outcome for row in rows] == ["succeeded"] * len(rows)
    return [row.job_id for row in rows]


def mixed(nightshift, sizes, *options):
    """Enqueue a job of each size, in a batch."""
    file = nightshift.folder / "mixed.csv"
    file.write_text("prompt,width\n" + "".join(f"a red boot,{width}\n" for width in sizes))
    return nightshift.enqueue("--prompts", file, "--steps", 4, *options)


def test_jobs_of_one_size_run_together_and_each_is_made_once(installation):
    with installation() as nightshift:
        with paused(nightshift):
            mixed(nightshift, [128, 192, 128, 192, 128, 192])
        worker = nightshift.start_worker()
        assert made_in_order(nightshift) == [1, 3, 5, 2, 4, 6]
        rows = nightshift.rows(Attempt)
        assert [row.cold for row in rows] == [False, False, False, True, False, False]
        # The messages of those that went before find nothing, which is as it should be.
        nightshift.wait_until_finished(nightshift.enqueue("--prompt", "one that stands behind them"))
        assert "message dropped" not in worker.log
        assert worker.stop() == 0


def test_jobs_of_one_checkpoint_run_together(installation):
    with installation() as nightshift:
        copy = shutil.copytree(DEMO_FOLDER, nightshift.folder / "copy")
        file = nightshift.folder / "mixed.csv"
        file.write_text("prompt,checkpoint\n" + f"a shoe,demo\na shoe,{copy}\n" * 3)
        with paused(nightshift):
            nightshift.enqueue("--prompts", file, "--steps", 4)
        nightshift.start_worker()
        assert made_in_order(nightshift) == [1, 3, 5, 2, 4, 6]
        assert len(nightshift.rows(Load)) == 2


def test_what_is_more_urgent_comes_first_whatever_it_needs(installation):
    with installation() as nightshift:
        with paused(nightshift):
            mixed(nightshift, [128, 128, 128])
            mixed(nightshift, [192, 128], "--priority", 1)
        nightshift.start_worker()
        assert made_in_order(nightshift) == [4, 5, 1, 2, 3]


def test_a_group_does_not_go_before_others_for_ever(installation):
    with installation(NIGHTSHIFT_GROUP_S="0") as nightshift:
        with paused(nightshift):
            mixed(nightshift, [128, 192, 128, 192])
        nightshift.start_worker()
        assert made_in_order(nightshift) == [1, 2, 3, 4]


def test_a_worker_that_is_killed_meanwhile_loses_nothing(installation):
    with faulty(installation) as (nightshift, faults):
        with paused(nightshift):
            mixed(nightshift, [128, 192, 128, 192])
        faults.hold("settled")
        worker = nightshift.start_worker()
        faults.wait_until_held("settled")
        faults.release("settled")
        faults.hold("step")
        faults.wait_until_held("step")
        worker.kill()
        faults.clear()
        nightshift.start_worker()
        assert {job.state for job in nightshift.wait_until_finished()} == {JobState.SUCCEEDED}
        rows = nightshift.rows(Attempt)
        assert sorted(row.job_id for row in rows if row.outcome == "succeeded") == [1, 2, 3, 4]


def test_a_row_that_was_spoiled_by_hand_is_refused_and_the_one_it_went_before_is_made(installation):
    with installation() as nightshift:
        with paused(nightshift):
            mixed(nightshift, [128, 192, 128])
        with nightshift.database.writing() as session:
            session.get_one(Job, 3).steps = 0
        nightshift.start_worker()
        nightshift.wait_until_finished()
        assert [(job.state, job.cause) for job in nightshift.jobs()] == [
            (JobState.SUCCEEDED, None),
            (JobState.SUCCEEDED, None),
            (JobState.FAILED, "invalid"),
        ]


def test_two_workers_that_group_at_once_make_each_job_once(nightshift, elsewhere):
    with paused(nightshift):
        mixed(nightshift, [128, 128, 192] * 4)
        for variables in ({}, elsewhere):
            worker = nightshift.start_worker(**variables)
            nightshift.wait_until(lambda worker=worker: "the queue is paused" in worker.log, "it to take a message")
    assert sorted(made_in_order(nightshift)) == list(range(1, 13))
    widths = {job.id: job.width for job in nightshift.jobs()}
    made = {}
    for row in nightshift.rows(Attempt):
        made.setdefault(row.boot_id, []).append(widths[row.job_id])
    assert len(made) == 2
    # Each goes over to the other size once at most; the second may begin with the wide one, as the first
    # may have made what its message names before it looks whether the queue goes on.
    assert all(len(list(groupby(sizes))) <= 2 for sizes in made.values())
