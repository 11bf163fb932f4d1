"""The worker that `producer run` starts beside itself."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.errors import NightshiftError
from models.settings import PREFIX, Settings
from producer.leftovers import note_process, stop_process

#: An orderly end waits for the running picture, which can take minutes on a CPU.
_PATIENCE_S = 3600.0


class WorkerProcess:
    """A running worker and its log."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def check(self) -> None:
        """Raise if the worker has ended.

        Raises:
            NightshiftError: with the last line of its log.
        """
        status = self._process.poll()
        if status is not None:
            said = self._log.read_text(errors="replace").splitlines() or ["nothing"]
            raise NightshiftError(f"the worker ended with status {status}: {said[-1]} (its log: {self._log})")

    def kill(self) -> None:
        """End it at once; its running job is put back by the next worker."""
        self._process.kill()


@contextmanager
def worker_process(settings: Settings, folder: Path, **overrides: Any) -> Iterator[WorkerProcess]:
    """Run a worker with the settings in force, some overridden; it ends in order with the block."""
    log = folder / "worker.log"
    values = {name: getattr(settings, name) for name in Settings.model_fields} | overrides
    environment = os.environ | {(PREFIX + name).upper(): str(value) for name, value in values.items()}
    with log.open("wb") as output:
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
    try:
        yield WorkerProcess(process, log)
    finally:
        stop_process(folder, "worker", process, _PATIENCE_S)
