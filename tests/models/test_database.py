"""Databases that cannot be used end in one line; transactions of several writers do not get in each other's way."""

import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select

from models.records.batches import PlannedJob, create_batch
from models.records.database import Database
from models.records.tables import Batch, Job
from models.types.clock import now
from models.types.errors import DatabaseError, UnreadableRowError
from models.types.job import JobSpec

NOBODY = 65534
WRITERS, TURNS = 4, 25


def error_of(url):
    with pytest.raises(DatabaseError) as caught:
        Database(url)
    message = str(caught.value)
    assert "\n" not in message
    return message


def assert_one_line(done, *words):
    """Check that the command failed with one line for people."""
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("producer: the database ")
    for word in words:
        assert word in line


@contextmanager
def as_nobody() -> Iterator[Path]:
    """Give up root's rights, before which no folder is closed; yield a folder that nobody may enter and not write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = os.geteuid() == 0
        folder.chmod(0o755 if root else 0o700)
        (folder / "closed").mkdir(mode=0o755)
        if root:
            os.seteuid(NOBODY)
        else:
            (folder / "closed").chmod(0o555)
        try:
            yield folder / "closed"
        finally:
            if root:
                os.seteuid(0)
            (folder / "closed").chmod(0o755)


def test_a_version_that_this_program_does_not_know_is_left_alone(sqlite_url, producer):
    Database(sqlite_url).close()
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'f00d'")
    engine.dispose()
    before = Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()
    message = error_of(sqlite_url)
    assert "is at version f00d, which this program (at " in message
    assert "Upgrade Nightshift on this machine, or set NIGHTSHIFT_DATABASE_URL to another" in message
    for command in (("status",), ("report", "--all"), ("enqueue", "--prompt", "x")):
        assert_one_line(producer(*command, NIGHTSHIFT_DATABASE_URL=sqlite_url), "f00d")
    assert Path(sqlite_url.removeprefix("sqlite:///")).read_bytes() == before


def test_a_file_that_is_no_database_is_left_alone(tmp_path, producer):
    file = tmp_path / "nightshift.db"
    file.write_text("my shopping list\n" * 500)
    assert "file is not a database. Move the file away" in error_of(f"sqlite:///{file}")
    assert_one_line(producer("status", NIGHTSHIFT_DATA_DIR=str(tmp_path)), str(file), "file is not a database")
    assert file.read_text() == "my shopping list\n" * 500


def test_a_damaged_database_is_named(sqlite_url, producer):
    Database(sqlite_url).close()
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    content = bytearray(file.read_bytes())
    # The pages after the first, which the header and the list of tables are on.
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    assert_one_line(producer("status", NIGHTSHIFT_DATABASE_URL=sqlite_url), str(file), "malformed", "damaged")


def test_a_folder_below_a_file_is_no_folder(tmp_path, producer):
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "data"
    assert "Not a directory. Choose a folder" in error_of(f"sqlite:///{path}/nightshift.db")
    assert_one_line(producer("status", NIGHTSHIFT_DATA_DIR=str(path)), str(path), "NIGHTSHIFT_DATA_DIR")


def test_a_folder_as_the_file_is_named(tmp_path):
    assert "unable to open database file" in error_of(f"sqlite:///{tmp_path}")


def test_a_missing_folder_is_made(tmp_path):
    Database(f"sqlite:///{tmp_path}/a/b/nightshift.db").close()
    assert (tmp_path / "a" / "b" / "nightshift.db").is_file()


def test_a_data_folder_may_have_any_name(tmp_path, producer):
    folder = tmp_path / "größe? 50%41 #1&a=b@c:d"
    assert producer("status", NIGHTSHIFT_DATA_DIR=str(folder)).returncode == 0
    assert (folder / "nightshift.db").is_file()


def test_a_folder_that_may_not_be_written_is_named():
    with as_nobody() as closed:
        assert "Permission denied. Choose a folder" in error_of(f"sqlite:///{closed}/nightshift.db")
        message = error_of(f"sqlite:///{closed}/data/nightshift.db")
        assert "Permission denied. Choose a folder" in message
        assert f"{closed}/data" in message


def test_a_file_that_may_only_be_read_says_what_to_do():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        file = Path(folder, "nightshift.db")
        Database(f"sqlite:///{file}").close()
        file.chmod(0o444)
        with as_nobody():
            database = Database(f"sqlite:///{file}")
            with pytest.raises(DatabaseError) as caught, database.writing() as session:
                session.add(Batch(uid="0" * 32, name="night", fingerprint="f", source="-", created_at=now()))
            database.close()
        assert "readonly database. Make the file and its folder writable" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_is_one_line_and_nothing_is_lost(small_disk, producer):
    def enqueue(*arguments):
        long = ("--prompt", "x", "--negative-prompt", "x" * 5_000)
        return producer("enqueue", "--new", *long, *arguments, NIGHTSHIFT_DATA_DIR=str(small_disk))

    def jobs():
        database = Database(f"sqlite:///{small_disk}/nightshift.db")
        with database.reading() as session:
            found = list(session.scalars(select(Job.id))), list(session.scalars(select(Batch.name)))
        database.close()
        return found

    enqueue("--batch", "first", "--count", "10")
    before = jobs()
    assert len(before[0]) == 10
    assert_one_line(enqueue("--batch", "second", "--count", "1000"), "full", "Free some space")
    assert jobs() == before
    (small_disk / "ballast").write_bytes(b"")
    assert enqueue("--batch", "third", "--count", "10").returncode == 0
    assert len(jobs()[0]) == 20


def test_a_disk_without_room_for_a_new_database_is_one_line(small_disk, producer):
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(b"\0" * 3_000_000)
    assert_one_line(producer("status", NIGHTSHIFT_DATA_DIR=str(small_disk / "data")), "Free some space")
    ballast.unlink()
    assert producer("status", NIGHTSHIFT_DATA_DIR=str(small_disk / "data")).returncode == 0


def test_programs_that_find_no_database_at_once_make_one(tmp_path, producer):
    done = []
    threads = [
        threading.Thread(target=lambda: done.append(producer("status", NIGHTSHIFT_DATA_DIR=str(tmp_path / "data"))))
        for _ in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * WRITERS


def test_writers_that_read_first_never_lose_a_change(records, database):
    """On PostgreSQL a row is locked by the change itself; on SQLite a transaction takes the lock at its start."""
    batch = records.batch()
    (number,) = [job.id for job in records.jobs(batch)]

    def count_up():
        for _ in range(TURNS):
            with database.writing() as session:
                job = session.scalar(select(Job).where(Job.id == number).with_for_update())
                job.steps += 1

    before = records.job(number).steps
    threads = [threading.Thread(target=count_up) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert records.job(number).steps == before + WRITERS * TURNS


def test_a_reader_neither_waits_for_a_writer_nor_sees_half_of_it(records, database):
    batch = records.batch(jobs=2)
    with database.writing() as writing:
        writing.get_one(Batch, batch.id).name = "changed"
        writing.flush()
        with database.reading() as reading:
            assert reading.scalar(select(Batch.name)) == "night"
    with database.reading() as reading:
        assert reading.scalar(select(Batch.name)) == "changed"


def test_every_query_of_a_reader_sees_the_same_moment(records, database):
    records.batch("first")
    with database.reading() as reading:
        assert reading.scalars(select(Batch.name)).all() == ["first"]
        records.batch("second")
        assert reading.scalars(select(Batch.name)).all() == ["first"]
    with database.reading() as reading:
        assert reading.scalars(select(Batch.name).order_by(Batch.id)).all() == ["first", "second"]


@pytest.mark.parametrize("kind", [BrokenPipeError, KeyError])
def test_an_error_of_something_else_is_not_blamed_on_the_database(database, read, write, kind):
    def fail(session):
        raise kind

    for call in (read, write):
        with pytest.raises(kind):
            call(fail)


def test_a_write_that_fails_leaves_nothing(records, database, write):
    def fail_after_writing(session):
        session.get_one(Batch, batch.id).name = "changed"
        session.flush()
        raise ZeroDivisionError

    batch = records.batch()
    with pytest.raises(ZeroDivisionError):
        write(fail_after_writing)
    with database.reading() as session:
        assert session.scalar(select(Batch.name)) == "night"


@pytest.mark.parametrize(
    ("column", "garbage"),
    [(column, garbage) for column in ("attributes", "queued_at", "finished_at") for garbage in ("{", "12:99", b"\xff")]
    + [("queued_at", 5)],
)
def test_what_cannot_be_read_of_a_row_is_one_line(sqlite_url, column, garbage):
    database = Database(sqlite_url)
    with database.writing() as session:
        spec = JobSpec(
            prompt="x", seed=1, steps=1, guidance=1, width=64, height=64, scheduler="DDIM", checkpoint="demo"
        )
        create_batch(session, "b", "-", [PlannedJob(spec)], priority=5, digest="d")
        session.connection().exec_driver_sql(f"UPDATE jobs SET {column} = ?", (garbage,))
    with (
        database.reading() as session,
        pytest.raises(UnreadableRowError, match="a row of the database holds what cannot be read") as caught,
    ):
        session.scalars(select(Job)).all()
    assert len(str(caught.value).splitlines()) == 1
    database.close()
