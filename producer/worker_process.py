"""The worker that `producer run` starts beside itself, and starts again when it went away."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from models.errors import NightshiftError
from models.exit_status import RESTARTED, ExitStatus
from models.settings import PREFIX, Settings
from producer.leftovers import note_process, stop_process

#: An orderly end waits for the running picture, which can take minutes on a CPU.
_PATIENCE_S = 3600.0
#: Ends in a row, with no attempt begun in between, that are no accident.
_MOST_ENDS = 3
_REASONS = {
    ExitStatus.HUNG: "its device hung",
    ExitStatus.MEMORY: "its memory was beyond the limit",
    ExitStatus.DATABASE: "the database did not take what it did",
}


class WorkerProcess:
    """A worker that is kept alive."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]], log: Path, attempts: Callable[[], int]) -> None:
        """Start it; `attempts` tells how many attempts were begun so far, which is how a worker gets on."""
        self._start = start
        self._log = log
        self._attempts = attempts
        self._begun = attempts()
        self._ends = 0
        self.process = start()

    def check(self) -> None:
        """Start the worker again if it was killed, or ended to be started again.

        Raises:
            NightshiftError: with the last line of its log, if it would end again.
        """
        status = self.process.poll()
        if status is None:
            return
        begun = self._attempts()
        self._ends = self._ends + 1 if begun == self._begun else 1
        self._begun = begun
        if not (status < 0 or status in RESTARTED) or self._ends >= _MOST_ENDS:
            said = self._log.read_text(errors="replace").splitlines() or ["nothing"]
            raise NightshiftError(f"the worker ended with status {status}: {said[-1]} (its log: {self._log})")
        reason = f"{signal.Signals(-status).name} ended it" if status < 0 else _REASONS[ExitStatus(status)]
        click.echo(f"the worker is started again: {reason}", err=True)
        self.process = self._start()

    def hurry(self) -> None:
        """Have a worker that was told to end give its job back at the next step."""
        self.process.terminate()


@contextmanager
def worker_process(
    settings: Settings, folder: Path, attempts: Callable[[], int], **overrides: Any
) -> Iterator[WorkerProcess]:
    """Run a worker with the settings in force, some overridden; it ends in order with the block."""
    log = folder / "worker.log"
    log.unlink(missing_ok=True)
    values = {name: getattr(settings, name) for name in Settings.model_fields} | overrides
    environment = os.environ | {(PREFIX + name).upper(): str(value) for name, value in values.items()}

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "worker", "worker"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                # Celery puts the current folder first on the path, and the user's may hold a `worker` of its own.
                cwd=folder,
                start_new_session=True,
            )
        note_process(folder, "worker", process.pid)
        return process

    worker = WorkerProcess(start, log, attempts)
    try:
        yield worker
    finally:
        stop_process(folder, "worker", worker.process, _PATIENCE_S)
