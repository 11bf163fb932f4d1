"""`producer workers`."""

import time

import click

from models.records.database import Database
from models.settings import load_settings
from models.types.errors import DatabaseError
from models.types.printable import printable
from producer.commands.machine.devices import device_option, named_devices
from producer.local.earlier_run import only_run
from producer.local.interrupts import on_next_interrupt, treat_all_as_ctrl_c
from producer.local.log_tail import LogTail
from producer.local.workers import Workers, running_workers

_POLL_S = 0.2


@click.command
@device_option("A worker for this device; several times, one each; all: one a GPU. Default: all.")
def command(devices: tuple[str, ...]) -> None:
    """Run a worker for each device of this machine, and start again those that go away.

    Their logs are shown line by line, each with its device before it, and kept in the data folder. Ctrl+C finishes the
    running pictures and ends; twice gives them back and ends. Neither loses a job.
    """
    settings = load_settings()
    names = named_devices(devices or ("all",))
    database = Database(settings.database)
    treat_all_as_ctrl_c()
    folder = settings.data_dir / "workers"
    with only_run("workers", folder), running_workers(settings, database, folder, names) as workers:
        show, told = _Shown(workers), Told(workers)
        try:
            while True:
                show.lines()
                told.look_after()
                time.sleep(_POLL_S)
        except KeyboardInterrupt:
            on_next_interrupt(workers.hurry)
            click.echo("\nfinishing the running pictures; Ctrl+C again gives them back at their next step", err=True)
            workers.end(show.lines)
        finally:
            show.lines()


class Told:
    """Looks after workers, and says what keeps it from that: once for as long as it lasts."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._trouble: str | None = None

    def look_after(self) -> None:
        """Look once.

        Raises:
            NightshiftError: as `Workers.look_after` does.
        """
        trouble = None
        try:
            self._workers.look_after()
        except DatabaseError as error:
            # Workers wait for it by themselves.
            trouble = str(error)
        if trouble is not None and trouble != self._trouble:
            click.echo(f"{trouble}; this looks again", err=True)
        self._trouble = trouble


class _Shown:
    """The logs of workers, on the terminal."""

    def __init__(self, workers: Workers) -> None:
        width = max(len(worker.device) for worker in workers.all)
        self._tails = [(f"{worker.device.ljust(width)} | ", LogTail(worker.log)) for worker in workers.all]

    def lines(self) -> None:
        """Show what is new."""
        for prefix, tail in self._tails:
            for line in tail.new_lines():
                click.echo(prefix + printable(line))
