"""A row that cannot be read fails and says so, whichever column it is; it stops nobody, and comes no more."""

import sqlite3
from contextlib import closing

import pytest
from faults import faulty

from models.records.control import pause, resume
from models.records.tables import Job

#: What the jobs are found by, and where they stand.
PLACES = {"id", "batch_id", "state", "boot_id", "replaces"}
GARBAGE = ("{", "12:99 o'clock", b"\xff\x00")


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


def states(sql, *numbers):
    marks = ", ".join("?" * len(numbers))
    return [state for (state,) in sql(f"SELECT state FROM jobs WHERE id IN ({marks}) ORDER BY id", *numbers)]


@pytest.fixture
def three_jobs(nightshift, sql):
    """The numbers of three jobs of two batches, none of which has begun; the last is of the second batch."""
    with nightshift.database.writing() as session:
        pause(session)
    for count in (2, 1):
        nightshift.enqueue("--prompt", "a red boot", "--count", count)
    return [number for (number,) in sql("SELECT id FROM jobs ORDER BY id DESC LIMIT 3")][::-1]


def let_go_and_wait(nightshift, sql, numbers):
    with nightshift.database.writing() as session:
        resume(session)
    nightshift.wait_until(lambda: not {"queued", "running"} & set(states(sql, *numbers)), "every job to be finished")


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("column", [column.name for column in Job.__table__.columns if column.name not in PLACES])
def test_a_job(nightshift, sql, three_jobs, column, garbage):
    first, second, third = three_jobs
    sql(f"UPDATE jobs SET {column} = ? WHERE id = ?", garbage, first)
    let_go_and_wait(nightshift, sql, three_jobs)
    assert states(sql, second, third) == ["succeeded", "succeeded"]
    ((state, cause, error),) = sql("SELECT state, cause, error FROM jobs WHERE id = ?", first)
    assert state in ("succeeded", "failed")
    assert state == "succeeded" or (cause in ("invalid", "checkpoint") and error)


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("column", ["uid", "checks", "target", "replacements", "created_at", "cancelled_at", "name"])
def test_a_batch(nightshift, sql, three_jobs, column, garbage):
    first, second, third = three_jobs
    ((batch,),) = sql("SELECT batch_id FROM jobs WHERE id = ?", first)
    sql(f"UPDATE batches SET {column} = ? WHERE id = ?", garbage, batch)
    # As after a queue that was lost.
    sql("UPDATE jobs SET published_at = NULL WHERE batch_id = ? AND state = 'queued'", batch)
    let_go_and_wait(nightshift, sql, three_jobs)
    assert states(sql, third) == ["succeeded"]
    for state, cause in sql("SELECT state, cause FROM jobs WHERE id IN (?, ?)", first, second):
        assert state == "succeeded" or (state, bool(cause)) == ("failed", True)
