"""`producer migrate`."""

import click

from models.settings import load_settings
from producer.actions.machine.migration import migrate


@click.command
def command() -> None:
    """Bring the database's tables to this program's version, or make them.

    An SQLite file is brought up by whatever command opens it first. PostgreSQL is by this one alone, since a
    fleet shares it: end the workers, migrate, and start workers of this version.
    """
    done = migrate(load_settings())
    if done.found == done.version:
        click.echo(f"{done.database} is at version {done.version}: nothing to do")
        return
    click.echo(f"{done.database} is at version {done.version} now; before, it was {done.found or 'empty'}")
    for worker in done.workers:
        click.echo(f"producer: warning: the worker on {worker} began before: end it, and start one anew", err=True)
