"""A worker that a command starts beside itself, and starts again when it went away."""

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import click

from models.records.boots import is_ready, newest_boot
from models.records.database import Database
from models.settings import PREFIX
from models.types.errors import NightshiftError
from models.types.exit_status import ExitStatus
from producer.local.earlier_run import note_of
from producer.local.interrupts import interrupts_held
from producer.local.noted_process import start_noted
from producer.local.restarts import Restarts

#: Seconds that a worker has to note that it ends while it loads.
_ABANDONED_S = 5.0
_REASONS = {
    ExitStatus.DONE: "it was told to end",
    ExitStatus.CANNOT_START: "it could not start",
    ExitStatus.HUNG: "its device hung",
    ExitStatus.MEMORY: "its memory was beyond the limit",
    ExitStatus.DEVICE: "its device did not do what it was told",
    ExitStatus.FAULTY: "one job after the other failed",
    ExitStatus.DATABASE: "the database did not take what it did",
    ExitStatus.IDLE: "it no longer heard its queue",
}


class WorkerProcess:
    """A worker that is kept alive."""

    def __init__(
        self, database: Database, folder: Path, environment: dict[str, str], device: str | None = None
    ) -> None:
        """Start it; its log and its note lie in `folder`, under its device's name where there are several."""
        self._database = database
        self._folder = folder
        self._environment = environment
        self.device = environment[f"{PREFIX}DEVICE"]
        self._called = "the worker" if device is None else f"the worker on {device}"
        #: What it is in the folder's notes.
        self.role = "worker" if device is None else f"worker-{device.replace(':', '-')}"
        self.log = folder / f"{self.role}.log"
        self.log.unlink(missing_ok=True)
        self._restarts = Restarts()
        self._was_ready = False
        self._reason = ""
        self.process = self._start()

    def look_after(self) -> str | None:
        """Start the worker again if it ended and it is time; return what there is to say of it, if there is.

        Raises:
            NightshiftError: with the last line of its log, if it ended before it was ready time and again, or cannot
                start in the first place.
        """
        if self._restarts.left_s is None and (status := self.process.poll()) is not None:
            self._note_end(status)
        left_s = self._restarts.left_s
        if left_s is None:
            return f"{self._called} was started again: {self._reason}" if self._reason and not self.is_ready() else None
        if left_s > 0:
            return f"{self._called} ended: {self._reason}; started again in {left_s:.0f} s"
        with interrupts_held():
            self.process = self._start()
        self._restarts.started()
        return self.look_after()

    def abandon(self) -> None:
        """Have a worker that loads end: it has no job to finish."""
        # Not SIGTERM twice, of which the second may come before the first is seen, and be lost.
        self.process.send_signal(signal.SIGQUIT)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_ABANDONED_S)

    def _note_end(self, status: int) -> None:
        ready = self.is_ready()
        self._was_ready = self._was_ready or ready
        again = self._restarts.ended(ready=ready)
        # A setting that is wrong at the first start is wrong at the next one too.
        if not again or (status == ExitStatus.CANNOT_START and not self._was_ready):
            said = self.log.read_text(errors="replace").splitlines() or ["nothing"]
            raise NightshiftError(f"{self._called} ended with status {status}: {said[-1]} (its log: {self.log})")
        self._reason = _reason(status)
        click.echo(f"{self._called} is started again: {self._reason}", err=True)

    def is_ready(self) -> bool:
        """Tell whether the worker has loaded its checkpoint and takes jobs."""
        with self._database.reading() as session:
            return is_ready(session, self.process.pid, self._newest_boot)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._database.reading() as session:
            self._newest_boot = newest_boot(session)
        with self.log.open("ab") as output:
            return start_noted(
                note_of(self._folder, self.role),
                [sys.executable, "-m", "celery", "-A", "worker", "worker"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                # Celery puts the current folder first on the path, and the user's may hold a `worker` of its own.
                cwd=self._folder,
                start_new_session=True,
            )


def _reason(status: int) -> str:
    if status < 0:
        return f"{signal.Signals(-status).name} ended it"
    return _REASONS[ExitStatus(status)] if status in set(ExitStatus) else f"it ended with status {status}"
