"""Databases of both kinds, and rows in them as producer and worker write them."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from postgres_server import PostgresServer
from sqlalchemy import delete, insert, select, text, update

from models.records import attempts, batches, claims
from models.records.attempts import Recorded, Result
from models.records.batches import Acceptance, KnownBatch, PlannedJob
from models.records.boots import Machine, record_boot, record_load
from models.records.claims import Claim
from models.records.database import Database, Session
from models.records.tables import Attempt, Job
from models.records.tables.columns import Base
from models.types.identity import Knobs, Weights
from models.types.job import JobSpec
from models.types.measurement import LoadMeasurement, MemoryReading
from models.types.message import DEFAULT_QUEUE, JobMessage
from models.types.states import Outcome

#: When the first recorded attempt begins.
START = datetime(2026, 1, 1, tzinfo=UTC)


def make_spec(**values) -> JobSpec:
    usual = {"prompt": "a red shoe", "seed": 1, "steps": 12, "guidance": 7.5, "width": 128, "height": 128}
    return JobSpec(**usual | {"scheduler": "DDIM", "checkpoint": "demo"} | values)


@pytest.fixture
def spec() -> Callable[..., JobSpec]:
    """Return a maker of specs: everything a job needs, and what the test asks for."""
    return make_spec


class Records:
    """Writes rows through the project's own functions, and reads them."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def batch(
        self,
        name: str = "night",
        jobs: int = 1,
        *,
        digest: str = "f",
        queue: str = DEFAULT_QUEUE,
        priority: int = 5,
        acceptance: Acceptance | None = None,
        **values,
    ) -> KnownBatch:
        planned = [PlannedJob(make_spec(**{"seed": number} | values), number) for number in range(1, jobs + 1)]
        with self.database.writing() as session:
            return batches.create_batch(
                session,
                name,
                "shoes.txt",
                planned,
                queue=queue,
                priority=priority,
                digest=digest,
                acceptance=acceptance,
            )

    def messages(self, batch: KnownBatch) -> list[JobMessage]:
        """Return a message for each job of the batch, whatever its state."""
        return [JobMessage(job=job.id, batch=batch.uid) for job in self.jobs(batch)]

    def boot(self, host: str = "mini", device: str = "cpu", **values) -> int:
        usual: dict[str, Any] = {
            "pid": 1,
            "lock_uid": "a",
            "device_name": f"the {device}",
            "chip": "M1 Pro",
            "threads": 8,
            "dtype": "float32",
        }
        usual |= {"memory_total_bytes": 2**34, "versions": {"torch": "2.13.0"}, "memory_sources": {"rss": "psutil"}}
        with self.database.writing() as session:
            return record_boot(session, Machine(host=host, device=device, **usual | values))

    def load(self, boot_id: int, checkpoint: str = "demo", *, attention_slicing: bool = False) -> int:
        measured = LoadMeasurement(
            weights=Weights(checkpoint),
            revision="0" * 40,
            knobs=Knobs(attention_slicing=attention_slicing),
            load_s=2.5,
            warmup_s=1.5,
            warmup_steps=2,
            before=MemoryReading(rss=10**8, available=10**10),
            after=MemoryReading(rss=10**9, available=9 * 10**9),
        )
        with self.database.writing() as session:
            return record_load(session, boot_id, measured)

    def claim(self, message: JobMessage, boot_id: int, queue: str = DEFAULT_QUEUE) -> Claim | None:
        with self.database.writing() as session:
            return next(iter(claims.claim(session, message, boot_id, queue=queue)), None)

    def settle(self, claim: Claim, outcome: Outcome = Outcome.SUCCEEDED, **values) -> Recorded:
        with self.database.writing() as session:
            return attempts.settle(session, claim, Result(outcome, **values)).recorded

    def attempt(self, job: Job, boot_id: int, load_id: int | None, number: int = 1, **values) -> None:
        """Insert a settled attempt with measurements of the test's choice."""
        usual: dict[str, Any] = {"outcome": Outcome.SUCCEEDED, "queue_wait_s": 0.0, "started_at": START}
        rows = {"job_id": job.id, "batch_id": job.batch_id, "boot_id": boot_id, "load_id": load_id, "number": number}
        row = usual | rows | values
        row.setdefault("finished_at", row["started_at"] + timedelta(seconds=row.get("total_s") or 0))
        with self.database.writing() as session:
            session.execute(insert(Attempt).values(row))

    def job(self, number: int) -> Job:
        with self.database.reading() as session:
            return session.get_one(Job, number)

    def change(self, number: int, **values: object) -> None:
        with self.database.writing() as session:
            session.execute(update(Job).where(Job.id == number).values(**values))

    def jobs(self, batch: KnownBatch) -> list[Job]:
        with self.database.reading() as session:
            return list(session.scalars(select(Job).where(Job.batch_id == batch.id).order_by(Job.id)))

    def attempts(self, job_id: int | None = None) -> list[Attempt]:
        query = select(Attempt).order_by(Attempt.id)
        with self.database.reading() as session:
            return list(session.scalars(query if job_id is None else query.where(Attempt.job_id == job_id)))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'nightshift.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database without a schema, of each kind in turn."""
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite_url")
    return request.getfixturevalue("postgres").create()


@pytest.fixture(scope="session")
def sqlite_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database that tests have one after the other: another one would have to be migrated, and compile each query."""
    made = Database(f"sqlite:///{tmp_path_factory.mktemp('database') / 'nightshift.db'}")
    yield made
    made.close()


@pytest.fixture(scope="session")
def postgresql_database(postgres: PostgresServer, migrated_template: str) -> Iterator[Database]:
    """As `sqlite_database`."""
    made = Database(postgres.create(migrated_template))
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, sqlite_url: str) -> Iterator[Database]:
    """Give the test a migrated database without rows, of each kind in turn."""
    if request.node.get_closest_marker("new_database"):
        if request.param == "sqlite":
            url = sqlite_url
        else:
            url = request.getfixturevalue("postgres").create(request.getfixturevalue("migrated_template"))
        made = Database(url)
        yield made
        made.close()
        return
    made = request.getfixturevalue(f"{request.param}_database")
    with made.writing() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(delete(table))
        if not made.url.startswith("sqlite"):
            # So that numbers begin with 1, as SQLite's do in an empty table.
            session.execute(text("SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'"))
    yield made


@pytest.fixture
def records(database: Database) -> Records:
    return Records(database)


@pytest.fixture
def boot(records: Records) -> int:
    return records.boot()


@pytest.fixture
def message(records: Records) -> JobMessage:
    """Return the message of a job that is queued."""
    (message,) = records.messages(records.batch())
    return message


@pytest.fixture
def write(database: Database) -> Callable[..., Any]:
    """Return a caller of the project's functions, each call in a write transaction of its own."""

    def call(function: Callable[..., Any], *arguments: object, **options: object) -> Any:
        with database.writing() as session:
            return function(session, *arguments, **options)

    return call


@pytest.fixture
def read(database: Database) -> Callable[..., Any]:
    """Return a caller of the project's functions, each call in a read transaction of its own."""

    def call(function: Callable[..., Any], *arguments: object, **options: object) -> Any:
        with database.reading() as session:
            return function(session, *arguments, **options)

    return call


@pytest.fixture
def at_once(database: Database) -> Callable[..., None]:
    """Return what runs one action in a transaction, another beside it until that waits, and commits the first."""

    def run(first: Callable[[Session], object], then: Callable[[], object]) -> None:
        begun, done = threading.Event(), threading.Event()

        def beside() -> None:
            begun.set()
            then()
            done.set()

        other = threading.Thread(target=beside)
        with database.writing() as session:
            first(session)
            other.start()
            begun.wait()
            # SQLite has one lock, which the thread meets in any case; PostgreSQL says who waits for a row.
            while not (database.url.startswith("sqlite") or done.is_set() or _somebody_waits(database)):
                pass
        other.join()
        assert done.is_set()

    return run


def _somebody_waits(database: Database) -> bool:
    with database.reading() as session:
        return bool(session.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")))
