"""A server and workers of a command's own, on this machine, for as long as the command runs."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from models.records.database import Database
from models.settings import Settings
from models.types.errors import DatabaseError
from producer.local.embedded_server import EmbeddedServer, embedded_server
from producer.local.workers import Workers, running_workers

_POLL_S = 0.1


class LocalQueue:
    """A server and workers that are looked after."""

    def __init__(self, settings: Settings, server: EmbeddedServer, workers: Workers) -> None:
        """Take what runs; `settings` name its server."""
        self.settings = settings
        self._server = server
        self._workers = workers

    def look_after(self) -> str | None:
        """Start what ended again, and return what there is to say of it, if there is.

        Raises:
            NightshiftError: if one of them does not start time and again.
        """
        said = self._server.look_after(), self._workers.look_after()
        return "; ".join(filter(None, said)) or None

    def wait_until_ready(self) -> None:
        """Return once a worker could make pictures, its checkpoint loaded.

        Raises:
            NightshiftError: if none gets that far.
        """
        said = None
        while True:
            try:
                if self._workers.is_ready():
                    return
                trouble = self.look_after()
            except DatabaseError as error:
                trouble = f"{error}; this waits and looks again"
            if trouble != said and trouble is not None:
                click.echo(trouble, err=True)
            said = trouble
            time.sleep(_POLL_S)

    def abandon(self) -> None:
        """Have workers that load end without having loaded."""
        self._workers.abandon()

    def hurry(self) -> None:
        """Have workers that were told to end give their jobs back at the next step."""
        self._workers.hurry()


@contextmanager
def local_queue(
    settings: Settings, database: Database, folder: Path, devices: Sequence[str] = ()
) -> Iterator[LocalQueue]:
    """Run a server, and a worker for each device or the settings', with their logs and notes in `folder`."""
    with embedded_server(folder) as server:
        what = "a worker" if len(devices) <= 1 else f"workers for {', '.join(devices)}"
        click.echo(f"starting {what} on {settings.checkpoint} …")
        with running_workers(settings, database, folder, devices, broker_url=server.url) as workers:
            yield LocalQueue(settings.model_copy(update={"broker_url": server.url}), server, workers)
