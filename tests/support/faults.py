"""Faults that are put into a worker from outside, and the promise that must hold whatever they do."""

import io
import json
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from installation import Installation
from PIL import Image
from programs import WorkerProcess
from redis_server import RedisServer
from sqlalchemy import create_engine

from models.checkpoints import DEFAULTS_FILE, DEMO_FOLDER
from models.records.control import pause, resume
from models.records.tables import Attempt, Boot
from models.records.tables.columns import Base
from models.types.states import MADE, JobState

_INSIDE = Path(__file__).parent / "inside"
#: A worker that looks often, so that no test waits long for it; more often, and its looks would be most of its work.
QUICK = {"NIGHTSHIFT_HEARTBEAT_S": "0.25", "NIGHTSHIFT_STALL_S": "1", "NIGHTSHIFT_RETRY_S": "0.1"}


def composed_by(loader: str) -> dict[str, str]:
    """Return the variables that have Celery's programs composed by a loader in the folder `inside`."""
    path = os.pathsep.join(filter(None, (str(_INSIDE), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "CELERY_LOADER": loader}


#: Of a worker that comes to places, and of what puts messages on its queue.
FAULTY = composed_by("faulty_loader:Loader")


class Faults:
    """Tells the workers of one installation what should happen where; `inside/places.py` says how."""

    def __init__(self, nightshift: Installation) -> None:
        self._nightshift = nightshift
        self._folder = nightshift.folder / "faults"
        self._folder.mkdir()
        nightshift.environment["FAULTS"] = str(self._folder)

    def at(self, place: str, what: str) -> None:
        # Whole or not at all, since a worker may be looking.
        work = self._folder / ".new"
        work.write_text(what)
        work.rename(self._folder / place)

    def hold(self, place: str) -> None:
        self.at(place, "hold")

    def held(self, place: str) -> bool:
        """Tell whether a worker stands still there."""
        return self._held(place).exists()

    def wait_until_held(self, place: str) -> None:
        self._nightshift.wait_until(lambda: self.held(place), f"a worker to come to {place}")

    def release(self, place: str) -> None:
        self._held(place).unlink()

    def forget(self, place: str) -> None:
        (self._folder / place).unlink()

    def clear(self) -> None:
        """Forget all that was not met, and let everybody go on."""
        for file in self._folder.iterdir():
            file.unlink(missing_ok=True)

    def _held(self, place: str) -> Path:
        return self._folder / f"{place}.held"


@contextmanager
def faulty(
    installation: Callable[..., Any], broker_url: str | None = None, **settings: str
) -> Iterator[tuple[Installation, Faults]]:
    """Give an installation whose workers obey the faults beside it."""
    with installation(broker_url, **FAULTY, **{**QUICK, **settings}) as nightshift:
        nightshift.environment["NIGHTSHIFT_CHECKPOINT"] = str(_quick_demo(nightshift.folder))
        yield nightshift, Faults(nightshift)


def _quick_demo(folder: Path) -> Path:
    """Return a copy of the demo that takes a quarter of its steps: few faults care for what a picture shows."""
    copy = Path(shutil.copytree(DEMO_FOLDER, folder / "quick"))
    defaults = json.loads((copy / DEFAULTS_FILE).read_text())
    (copy / DEFAULTS_FILE).write_text(json.dumps(defaults | {"steps": 3}))
    return copy


def leaking(size: int) -> dict[str, str]:
    """Return what has each picture of a worker leak so many bytes, which no step but a new process gives back."""
    return composed_by("leaking_loader:Loader") | {"LEAK_BYTES": str(size)}


@contextmanager
def locked(nightshift: Installation) -> Iterator[None]:
    """Hold the database so that nobody else can write, as another program does."""
    engine = create_engine(nightshift.database_url)
    with engine.connect() as other:
        if engine.dialect.name == "sqlite":
            other.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            other.exec_driver_sql(f"LOCK TABLE {', '.join(Base.metadata.tables)} IN EXCLUSIVE MODE")
        yield
        other.rollback()
    engine.dispose()


@contextmanager
def no_file_handle(worker: WorkerProcess) -> Iterator[None]:
    """Have a worker open nothing more; what it has open stays open. Only Linux has a call for that."""
    soft, hard = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (3, hard))
    yield
    if worker.status is None:
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (soft, hard))


def enqueue_two_and_stop_at(
    place: str, nightshift: Installation, faults: Faults, *options: object, what: str = "hold"
) -> str:
    """Enqueue two jobs so that the worker comes to a stop at that place of the first, and return their batch.

    The queue is paused meanwhile: a worker that is held within a transaction has the database locked.
    """
    with nightshift.database.writing() as session:
        pause(session)
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2, *options)
    faults.at(place, what)
    with nightshift.database.writing() as session:
        resume(session)
    return batch


def worker_or_new_one(nightshift: Installation) -> WorkerProcess:
    """Return the worker that the test before has left alive, or start one."""
    alive = [worker for worker in nightshift.workers if worker.status is None]
    return alive[0] if alive else nightshift.start_worker()


def end_worker(nightshift: Installation) -> None:
    """End the worker that the test before has left alive, if it has."""
    for worker in nightshift.workers:
        if worker.status is None:
            worker.stop()


def outcomes(nightshift: Installation, batch: str | None = None) -> list[list[str]]:
    """Return the outcomes of each job's attempts."""
    attempts = nightshift.rows(Attempt)
    return [[row.outcome for row in attempts if row.job_id == job.id] for job in nightshift.jobs(batch)]


def messages_in(server: RedisServer) -> int:
    """Return how many messages lie in the queue, of all priorities."""
    with server.client() as client:
        keys = client.scan_iter(match="nightshift:jobs*")
        return sum(int(client.llen(key)) for key in keys if client.type(key) == b"list")


def helpers_of(nightshift: Installation) -> list[str]:
    """Return the processes that workers of the installation have started beside them and that are still there."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            if process.status() != psutil.STATUS_ZOMBIE and (
                "worker.care.watches.watchdog_process" in words or "-m checks" in words
            ):
                mine = process.environ().get("NIGHTSHIFT_DATA_DIR", "") == str(nightshift.data_dir)
                found += [words] * mine
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_for_looks(nightshift: Installation, count: int) -> None:
    """Wait until a worker has looked after its queue so often; it gives a sign of life each time."""
    seen: set[datetime | None] = set()

    def look() -> bool:
        seen.update(boot.alive_at for boot in nightshift.rows(Boot))
        return len(seen) > count + len(nightshift.rows(Boot))

    nightshift.wait_until(look, f"{count} looks at the queue")


def assert_all_made_once_by(worker: WorkerProcess, nightshift: Installation) -> None:
    """Every job is made in its first attempt, by a worker that outlasts what befell it."""
    assert {job.state for job in nightshift.wait_until_finished()} == {JobState.SUCCEEDED}
    assert outcomes(nightshift) == [["succeeded"]] * len(nightshift.jobs())
    assert worker.status is None
    assert "Traceback" not in worker.log
    assert_promise_kept(nightshift)


def assert_promise_kept(nightshift: Installation) -> None:
    """Every job ended once, in a picture that is whole or in a row that says why not; there is no stray file."""
    jobs, attempts, store = nightshift.jobs(), nightshift.rows(Attempt), nightshift.store
    for job in jobs:
        own = [row for row in attempts if row.job_id == job.id]
        assert [row.number for row in own] == list(range(1, job.attempts + 1))
        assert "running" not in [row.outcome for row in own]
        made = [row for row in own if row.outcome == "succeeded"]
        if job.state in MADE:
            assert len(made) == 1
            assert ("rejected" in Path(job.picture).parts) == (job.state == JobState.REJECTED)
            with Image.open(io.BytesIO(store.read(job.picture))) as picture:
                picture.load()
                assert picture.size == (job.width, job.height)
        else:
            assert job.state in (JobState.FAILED, JobState.CANCELLED, JobState.QUARANTINED)
            assert made == []
            assert job.cause
            assert job.error or job.state == JobState.CANCELLED
    named = sorted(job.picture for job in jobs if job.picture)
    pictures = nightshift.data_dir / "pictures"
    files = sorted(str(path.relative_to(nightshift.data_dir)) for path in pictures.rglob("*") if path.is_file())
    if "NIGHTSHIFT_PICTURES_URL" in nightshift.environment:
        # What is written before its row may be there without one, and is known for a leftover.
        assert nightshift.producer("gc", "--leftovers").returncode == 0
        assert (sorted(name for _, name in store.pictures()), files) == (named, [])
    else:
        assert files == named
