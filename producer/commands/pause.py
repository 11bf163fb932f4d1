"""`producer pause`."""

import click

from models.records.database import Database
from models.records.pauses import pause
from models.settings import load_settings


@click.command
def command() -> None:
    """Pause the queue: the running job is finished, and no other begins until `producer resume`.

    The pause outlasts workers and restarts. Jobs can be enqueued and cancelled meanwhile.
    """
    with Database(load_settings().database).writing() as session:
        paused = pause(session)
    click.echo("the queue is paused; `producer resume` goes on" if paused else "the queue is paused already")
