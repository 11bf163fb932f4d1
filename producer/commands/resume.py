"""`producer resume`."""

import click

from models.records.database import Database
from models.records.pauses import resume
from models.settings import load_settings


@click.command
def command() -> None:
    """Let a paused queue go on; workers notice within a heartbeat."""
    with Database(load_settings().database).writing() as session:
        resumed = resume(session)
    click.echo("the queue goes on" if resumed else "the queue is not paused")
