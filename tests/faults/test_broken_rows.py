"""A row that cannot be read fails and says so, whichever column it is; it stops nobody, and comes no more."""

import sqlite3
from contextlib import closing

import pytest
from faults import faulty
from small_trainings import data_set, train
from sqlalchemy import select

from models.records.control import pause, resume
from models.records.tables import Batch, Job, Training
from models.records.trainings.trainings import create_training

#: What the jobs are found by, and where they stand.
PLACES = {"id", "batch_id", "state", "boot_id", "replaces"}
GARBAGE = ("{", "12:99 o'clock", b"\xff\x00")
#: `make test` has one for all.
OF_EACH = (pytest.param(GARBAGE[0], marks=pytest.mark.smoke), *GARBAGE[1:])

pytestmark = pytest.mark.of_sqlite


@pytest.fixture(scope="module")
def both(installation):
    with faulty(installation) as made:
        made[0].start_worker()
        yield made


@pytest.fixture
def sql(nightshift):
    def run(statement, *values):
        with closing(sqlite3.connect(nightshift.data_dir / "nightshift.db", timeout=30)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    return run


def columns_of(table, but):
    return [column.name for column in table.__table__.columns if column.name not in but]


@pytest.fixture
def queued(nightshift, sql):
    """Return what queues a batch of so many jobs, none of which begins before `let_go`, and gives their numbers."""
    with nightshift.database.writing() as session:
        pause(session)

    def enqueue(count):
        nightshift.enqueue("--prompt", "a red boot", "--count", count)
        return [number for (number,) in sql("SELECT id FROM jobs ORDER BY id DESC LIMIT ?", count)][::-1]

    return enqueue


def let_go_and_wait(nightshift, sql):
    with nightshift.database.writing() as session:
        resume(session)
    unfinished = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')"
    nightshift.wait_until(lambda: sql(unfinished) == [(0,)], "every job to be finished")


def ends(sql, number):
    ((state, cause, error),) = sql("SELECT state, cause, error FROM jobs WHERE id = ?", number)
    return state, cause, error


@pytest.mark.parametrize("garbage", OF_EACH)
def test_a_job(nightshift, sql, queued, garbage):
    columns = columns_of(Job, PLACES)
    spoilt, sound = queued(len(columns)), queued(2)
    for number, column in zip(spoilt, columns, strict=True):
        sql(f"UPDATE jobs SET {column} = ? WHERE id = ?", garbage, number)
    let_go_and_wait(nightshift, sql)
    assert [ends(sql, number)[0] for number in sound] == ["succeeded"] * 2
    for number, column in zip(spoilt, columns, strict=True):
        state, cause, error = ends(sql, number)
        assert state in ("succeeded", "failed"), column
        assert state == "succeeded" or (cause in ("invalid", "checkpoint", "lora") and error), column
    # Most columns are read; those that are written before they are read hold nothing of it any more.
    assert len([number for number in spoilt if ends(sql, number)[0] == "failed"]) > len(columns) / 4


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_batch(nightshift, sql, queued, garbage):
    columns = columns_of(Batch, {"id"})
    spoilt = {column: queued(1) for column in columns}
    sound = queued(2)
    for column, (number,) in spoilt.items():
        sql(f"UPDATE batches SET {column} = ? WHERE id = (SELECT batch_id FROM jobs WHERE id = ?)", garbage, number)
        # As after a queue that was lost.
        sql("UPDATE jobs SET published_at = NULL WHERE id = ? AND state = 'queued'", number)
    let_go_and_wait(nightshift, sql)
    assert [ends(sql, number)[0] for number in sound] == ["succeeded"] * 2
    for column, (number,) in spoilt.items():
        state, cause, _ = ends(sql, number)
        assert state == "succeeded" or (state, bool(cause)) == ("failed", True), column


@pytest.mark.parametrize("garbage", OF_EACH)
def test_a_training(nightshift, sql, queued, tmp_path, garbage):
    pictures = data_set(tmp_path / "data")
    with nightshift.database.writing() as session:
        pause(session)
    columns = columns_of(Training, {"id", "state", "boot_id"})
    first = len(sql("SELECT id FROM trainings"))
    names = [f"t{first + place}" for place in range(len(columns) + 1)]
    train(nightshift, names[0], pictures, max_train_steps=1)
    with nightshift.database.writing() as session:
        like = session.scalars(select(Training).where(Training.name == names[0])).one()
        shared = {name: getattr(like, name) for name in ("data", "place", "pictures", "held_out", "steps", "priority")}
        for name in names[1:]:
            create_training(session, name, like.config, **shared)
    numbers = [number for (number,) in sql("SELECT id FROM trainings ORDER BY id DESC LIMIT ?", len(names))][::-1]
    *spoilt, sound = numbers
    jobs = queued(2)
    for number, column in zip(spoilt, columns, strict=True):
        sql(f"UPDATE trainings SET {column} = ? WHERE id = ?", garbage, number)
    with nightshift.database.writing() as session:
        resume(session)
    unfinished = "SELECT count(*) FROM trainings WHERE state IN ('queued', 'running')"
    nightshift.wait_until(lambda: sql(unfinished) == [(0,)], "every training to end")
    nightshift.wait_until(lambda: all(ends(sql, job)[0] == "succeeded" for job in jobs), "the jobs to be made")
    assert sql("SELECT state FROM trainings WHERE id = ?", sound) == [("succeeded",)]
    for number, column in zip(spoilt, columns, strict=True):
        ((state, cause),) = sql("SELECT state, cause FROM trainings WHERE id = ?", number)
        failed = state == "failed" and cause in ("invalid", "training", "checkpoint")
        assert failed or state in ("succeeded", "cancelled"), column
