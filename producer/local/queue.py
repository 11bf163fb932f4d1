"""A server and a worker of a command's own, on this machine, for as long as the command runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from models.records.database import Database
from models.settings import Settings
from models.types.errors import DatabaseError
from producer.local.embedded_server import EmbeddedServer, embedded_server
from producer.local.worker_process import WorkerProcess, worker_process

_POLL_S = 0.1


class LocalQueue:
    """A server and a worker that are looked after."""

    def __init__(self, settings: Settings, server: EmbeddedServer, worker: WorkerProcess) -> None:
        """Take what runs; `settings` name its server."""
        self.settings = settings
        self._server = server
        self._worker = worker

    def look_after(self) -> str | None:
        """Start what ended again, and return what there is to say of it, if there is.

        Raises:
            NightshiftError: if one of them does not start time and again.
        """
        said = self._server.look_after(), self._worker.look_after()
        return "; ".join(filter(None, said)) or None

    def wait_until_ready(self) -> None:
        """Return once the worker could make pictures, its checkpoint among them.

        Raises:
            NightshiftError: if it does not get that far.
        """
        said = None
        while True:
            try:
                if self._worker.is_ready():
                    return
                trouble = self.look_after()
            except DatabaseError as error:
                trouble = f"{error}; this waits and looks again"
            if trouble != said and trouble is not None:
                click.echo(trouble, err=True)
            said = trouble
            time.sleep(_POLL_S)

    def abandon(self) -> None:
        """Have a worker that loads end without having loaded."""
        self._worker.abandon()

    def hurry(self) -> None:
        """Have a worker that was told to end give its job back at the next step."""
        self._worker.hurry()


@contextmanager
def local_queue(settings: Settings, database: Database, folder: Path) -> Iterator[LocalQueue]:
    """Run both, with their logs and notes in `folder`."""
    with embedded_server(folder) as server:
        click.echo(f"starting a worker on {settings.checkpoint} …")
        with worker_process(settings, database, folder, broker_url=server.url) as worker:
            yield LocalQueue(settings.model_copy(update={"broker_url": server.url}), server, worker)
