"""How fast a batch goes and what of it is gone, and that neither takes longer for all else that is recorded."""

from pathlib import Path

import pytest
from sqlalchemy import insert, update
from sqlite_steps import steps

from models.figures.progress import has_work, missing_pictures, recent_speed
from models.pictures.folder import FolderStore
from models.pictures.names import picture_name
from models.records import publication
from models.records.tables import Attempt, Job
from models.types.clock import now
from models.types.message import DEFAULT_QUEUE
from models.types.states import JobState, Outcome


def succeed(records, batch, boot, first_s=0.0, every_s=10.0):
    """Have each job of the batch succeed, one after the other."""
    with records.database.writing() as session:
        session.execute(update(Job).where(Job.batch_id == batch.id).values(state=JobState.SUCCEEDED))
        session.execute(
            insert(Attempt),
            [
                {
                    "job_id": job.id,
                    "batch_id": batch.id,
                    "boot_id": boot,
                    "number": 1,
                    "outcome": Outcome.SUCCEEDED,
                    "started_at": batch.created_at,
                    "finished_s": first_s + every_s * number,
                }
                for number, job in enumerate(records.jobs(batch))
            ],
        )


def test_the_pace_is_that_of_the_last_pictures_of_one_boot(records, boot, read):
    batch = records.batch(jobs=30)
    assert read(recent_speed, batch.id) is None
    succeed(records, batch, boot)
    assert read(recent_speed, batch.id) == pytest.approx(10)
    later = records.boot(lock_uid="b")
    with records.database.writing() as session:
        last = [job.id for job in records.jobs(batch)][-5:]
        session.execute(update(Attempt).where(Attempt.job_id.in_(last)).values(boot_id=later))
        session.execute(update(Attempt).where(Attempt.job_id == last[-1]).values(outcome=Outcome.LOST))
    # Four of the later boot are left.
    assert read(recent_speed, batch.id) == pytest.approx(10)
    with records.database.writing() as session:
        session.execute(update(Attempt).where(Attempt.job_id.in_(last[1:])).values(finished_s=None))
    assert read(recent_speed, batch.id) is None


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_pace_takes_as_many_steps_whatever_else_is_recorded(records, boot, read):
    batch = records.batch("first", 40)
    succeed(records, batch, boot)
    few = read(steps, lambda session: recent_speed(session, batch.id))
    succeed(records, records.batch("second", 3_000), boot, first_s=1000)
    assert read(steps, lambda session: recent_speed(session, batch.id)) < 2 * few + 10


def test_pictures_that_are_gone_are_counted(records, boot, read, tmp_path):
    batch, other = records.batch("first", 4), records.batch("second", 1)
    succeed(records, batch, boot)
    store = FolderStore(tmp_path)
    with records.database.writing() as session:
        for job in records.jobs(batch):
            session.execute(update(Job).where(Job.id == job.id).values(picture=picture_name(batch.id, job.id)))
    assert read(missing_pictures, batch.id, store) == 4
    Path(store.shown_folder(batch.id)).mkdir(parents=True)
    for job in records.jobs(batch)[:3]:
        store.path(picture_name(batch.id, job.id)).touch()
    store.path(picture_name(batch.id, 99)).touch()
    assert read(missing_pictures, batch.id, store) == 1
    assert read(missing_pictures, other.id, store) == 0


def test_jobs_of_other_queues_are_no_work_and_cost_nothing(records, read, write, boot):
    for number, jobs in enumerate((500, 2_000)):
        elsewhere = records.batch(f"elsewhere {number}", jobs, queue="other")
        write(publication.mark_published, [job.id for job in records.jobs(elsewhere)], now())
    assert not read(has_work, boot, [DEFAULT_QUEUE], "here")
    assert read(has_work, boot, [DEFAULT_QUEUE, "other"], "here")
    if records.database.url.startswith("sqlite"):
        assert read(steps, lambda session: has_work(session, boot, [DEFAULT_QUEUE], "here")) < 5
    waits = records.batch("waits", 1)
    assert read(has_work, boot, [DEFAULT_QUEUE], "here")
    write(publication.mark_published, [job.id for job in records.jobs(waits)], now())
    assert read(has_work, boot, [DEFAULT_QUEUE], "here")
