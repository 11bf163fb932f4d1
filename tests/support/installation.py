"""What the tests drive: the real `producer` and worker programs on a queue, and their folder."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import psutil
import pytest
from forked import Files
from programs import CELERY, PATIENCE_S, PRODUCER, Process, ProducerProcess, WorkerProcess, run, run_anew, run_producer
from sqlalchemy import select

from models.checkpoints import DEMO_FOLDER
from models.pictures.opening import open_store
from models.pictures.store import PictureStore
from models.records.control import pause, resume
from models.records.database import Database
from models.records.tables import Batch, Job
from models.records.tables.columns import Base
from models.settings import Settings
from models.types.states import FINISHED, JobState

_Value = TypeVar("_Value")
_Row = TypeVar("_Row", bound=Base)


class Installation:
    """One data folder and one queue, the programs that work on them, and the rows that come of it."""

    def __init__(self, folder: Path, broker_url: str, **settings: str) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.environment = {
            "NIGHTSHIFT_DATA_DIR": str(self.data_dir),
            "NIGHTSHIFT_BROKER_URL": broker_url,
            "NIGHTSHIFT_CHECKPOINT": "demo",
            "NIGHTSHIFT_CHECKPOINT_FOLDERS": os.pathsep.join(map(str, (folder, DEMO_FOLDER))),
            # The same on every machine, also where there is a better device.
            "NIGHTSHIFT_DEVICE": "cpu",
            # A cache of its own, so that no download of the machine's user makes a test pass.
            "HF_HOME": str(folder / "hub"),
            # What a machine has for it differs, and so would the log.
            "NIGHTSHIFT_KEEP_AWAKE": "false",
            # How many are fastest differs from run to run; what tests it says so.
            "NIGHTSHIFT_TUNING": "false",
            # Beside anything else that runs, OpenMP's threads wait for each other longer than they work.
            "OMP_NUM_THREADS": "1",
            **settings,
        }
        self.workers: list[WorkerProcess] = []
        self._database: Database | None = None
        # A .env file and a package of the current folder would be found there.
        self._cwd = folder / "cwd"
        self._cwd.mkdir(parents=True)

    def producer(self, *arguments: object, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `producer` to its end, whatever status that has, in a process that need not import what it needs."""
        return run_producer(arguments, self._complete(variables), self._cwd, stdin)

    def enqueue_at_once(self, *arguments: object) -> str:
        """Put jobs on the queue so that all are there before a worker begins one, and return their batch."""
        with self.database.writing() as session:
            pause(session)
        batch = self.enqueue(*arguments)
        with self.database.writing() as session:
            resume(session)
        return batch

    def enqueue(self, *arguments: object) -> str:
        """Put jobs on the queue, whether or not some ask for the same, and return the name of their batch."""
        done = self.producer("enqueue", "--new", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.split(":")[0]

    def read_json(self, *arguments: object) -> Any:
        """Return what a `producer` command prints with `--json`."""
        done = self.producer(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start_worker(self, **variables: str) -> WorkerProcess:
        """Start a worker and return at once; `wait_until_ready` waits for it.

        Its process is forked from one that has imported torch. What it does from its first instruction on is what
        `start_worker_anew` is for.
        """
        return self._start_worker(run, variables)

    def start_worker_anew(self, *before: str, **variables: str) -> WorkerProcess:
        """Start a worker by the command that people type, behind another that runs it."""
        return self._start_worker(run_anew, variables, before)

    def _start_worker(
        self, start: Callable[..., Process], variables: dict[str, str], before: Sequence[str] = ()
    ) -> WorkerProcess:
        log_file = self.folder / f"worker-{len(self.workers) + 1}.log"
        output_file = log_file.with_suffix(".out")
        files = Files(Path(os.devnull), output_file, log_file)
        process = start([*before, str(CELERY), "-A", "worker", "worker"], self._complete(variables), self._cwd, files)
        worker = WorkerProcess(process, log_file, output_file)
        self.workers.append(worker)
        return worker

    def wait_until_ready(self, worker: WorkerProcess) -> WorkerProcess:
        self.wait_until(lambda: b"ready for jobs" in worker.log_file.read_bytes(), "the worker to be ready")
        return worker

    def wait_until(self, condition: Callable[[], _Value], what: str, patience_s: float = PATIENCE_S) -> _Value:
        """Return the condition's value as soon as it is true; fail at the deadline, or if a worker ended unasked."""
        deadline = time.monotonic() + patience_s
        while True:
            over = [w for w in self.workers if w.status is not None and not w.end_awaited]
            if value := condition():
                return value
            if over or time.monotonic() > deadline:
                pytest.fail(f"waited for {what}, {self._state_of_workers()}")
            time.sleep(0.05)

    def wait_until_running(self, batch: str) -> Job:
        """Return the job of the batch that a worker is at."""

        def running() -> Job | None:
            return next((job for job in self.jobs(batch) if job.state == JobState.RUNNING), None)

        return self.wait_until(running, f"a job of {batch} to run")

    def wait_until_finished(self, batch: str | None = None) -> list[Job]:
        """Return the batch's jobs, or all there are, once none needs anything more."""

        def finished() -> bool:
            return all(job.state in FINISHED for job in self.jobs(batch))

        self.wait_until(finished, f"{batch or 'every job'} to be finished")
        return self.jobs(batch)

    def jobs(self, batch: str | None = None) -> list[Job]:
        query = select(Job).join(Batch).order_by(Job.id)
        with self.database.reading() as session:
            return list(session.scalars(query if batch is None else query.where(Batch.name == batch)))

    def rows(self, table: type[_Row]) -> list[_Row]:
        with self.database.reading() as session:
            return list(session.scalars(select(table).order_by("id")))

    @property
    def database(self) -> Database:
        if self._database is None:
            self._database = Database(self.database_url)
        return self._database

    @property
    def store(self) -> PictureStore:
        """The store of its pictures, with the keys that its programs have."""
        keys = {name: value for name, value in self.environment.items() if name.startswith("AWS_")}
        with mock.patch.dict(os.environ, keys):
            url = self.environment.get("NIGHTSHIFT_PICTURES_URL", "")
            return open_store(Settings(_env_file=None, data_dir=self.data_dir, pictures_url=url))

    @property
    def database_url(self) -> str:
        return self.environment.get("NIGHTSHIFT_DATABASE_URL", f"sqlite:///{self.data_dir / 'nightshift.db'}")

    def left_running(self) -> list[str]:
        """Return the commands of what is at work here: `producer`, workers, and the servers of the data folder.

        By where they are, since all that was forked has the command and the environment of who forked it.
        """
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                words = " ".join(process.cmdline())
                # What a worker has beside it ends with it.
                helps = "worker.care.watches.watchdog_process" in words or "-m checks" in words
                here = Path(process.cwd()).is_relative_to(self.folder) or str(self.data_dir) in words
                if here and not helps:
                    found.append(words)
        return found

    def start_producer(self, *arguments: object, output: Path | None = None) -> "ProducerProcess":
        """Start `producer` and return at once; like `producer`, it need not import what it needs."""
        file = output or Path(tempfile.mkdtemp(dir=self.folder), "output")
        files = Files(Path(os.devnull), file, file)
        process = run([str(PRODUCER), *map(str, arguments)], self._complete({}), self._cwd, files)
        return ProducerProcess(process, file)

    def start_producer_anew(self, *arguments: object) -> subprocess.Popen[str]:
        """Start `producer` as people do and return at once; its output comes by its pipe."""
        return subprocess.Popen(
            [str(PRODUCER), *map(str, arguments)],
            env=self._complete({}),
            cwd=self._cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # pytest's own Ctrl+C must not reach it, and ours must not reach pytest.
            start_new_session=True,
        )

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        self.close_database()

    def close_database(self) -> None:
        """Let go of the database's file; what is read next opens the one that is there then."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _complete(self, variables: dict[str, str]) -> dict[str, str]:
        return os.environ | self.environment | variables

    def _state_of_workers(self) -> str:
        if not self.workers:
            return "and no worker was started"
        return "\n".join(
            f"worker {w.pid}: {'running' if w.status is None else f'ended with status {w.status}'}; its log ends with\n"
            + "\n".join(w.lines[-30:])
            for w in self.workers
        )
