"""Workers of a command's own on this machine, one a device, for as long as the command runs."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from models.records.database import Database
from models.settings import PREFIX, Settings
from models.types.errors import NightshiftError
from producer.local.earlier_run import stop_processes
from producer.local.interrupts import interrupts_held
from producer.local.worker_process import WorkerProcess

#: An orderly end waits for the running picture, which can take minutes on a CPU.
_PATIENCE_S = 3600.0
_POLL_S = 0.2


class Workers:
    """Workers that are kept alive; one that cannot start is given up while others are at work."""

    def __init__(self, workers: Sequence[WorkerProcess]) -> None:
        """Take those that run."""
        #: All there were; and those that are looked after.
        self.all = workers
        self._kept = list(workers)

    def look_after(self) -> str | None:
        """Start those again that ended and whose time it is; return what there is to say, if there is.

        Raises:
            NightshiftError: if the last of them does not start time and again.
        """
        said = []
        for worker in list(self._kept):
            try:
                said.append(worker.look_after())
            except NightshiftError as error:
                self._kept.remove(worker)
                if not self._kept:
                    raise
                click.echo(f"{error}; the others go on", err=True)
        return "; ".join(filter(None, said)) or None

    def is_ready(self) -> bool:
        """Tell whether one of them takes jobs."""
        return any(worker.is_ready() for worker in self._kept)

    def hurry(self) -> None:
        """Have those that were told to end give their jobs back at the next step."""
        for worker in self.all:
            worker.process.terminate()

    def abandon(self) -> None:
        """Have those that load end: they have no jobs to finish."""
        for worker in self.all:
            worker.abandon()

    def end(self, meanwhile: Callable[[], None]) -> None:
        """Tell them to finish their pictures and end, and do something else again and again until all have."""
        for worker in self.all:
            worker.process.terminate()
        while any(worker.process.poll() is None for worker in self.all):
            meanwhile()
            time.sleep(_POLL_S)
        meanwhile()


@contextmanager
def running_workers(
    settings: Settings, database: Database, folder: Path, devices: Sequence[str] = (), **overrides: Any
) -> Iterator[Workers]:
    """Run a worker for each device, or one for the settings', with the settings in force, some overridden.

    They end in order with the block. Their logs and notes lie in `folder`.
    """
    values = {name: getattr(settings, name) for name in Settings.model_fields} | overrides
    workers: list[WorkerProcess] = []
    try:
        for number, device in enumerate(devices or (settings.device,)):
            of_it = values | {"device": device, "metrics": _later_port(settings.metrics, number)}
            environment = os.environ | {(PREFIX + name).upper(): str(value) for name, value in of_it.items()}
            with interrupts_held():
                workers.append(WorkerProcess(database, folder, environment, device if len(devices) > 1 else None))
        yield Workers(workers)
    finally:
        stop_processes(folder, {worker.role: worker.process for worker in workers}, _PATIENCE_S)


def _later_port(address: str, number: int) -> str:
    """Return the address with a port so many after its own, since each worker serves its own figures."""
    host, colon, port = address.rpartition(":")
    return f"{host}{colon}{int(port) + number}" if address else ""
