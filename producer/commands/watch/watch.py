"""`producer watch`."""

import click

from models.records.batches import find_batch
from models.records.database import Database
from models.settings import load_settings
from producer.cli import FAILED
from producer.terminal.follow import follow


@click.command
@click.argument("batch", required=False)
@click.pass_context
def command(ctx: click.Context, batch: str | None) -> None:
    """Follow BATCH, or the newest batch, until it is done; the exit status is 1 if it came short.

    Ctrl+C ends the watching and nothing else.
    """
    database = Database(load_settings().database)
    with database.reading() as session:
        name = find_batch(session, batch).name
    try:
        progress = follow(database, name)
    except KeyboardInterrupt:
        click.echo(f"The worker goes on with {name}; `producer watch {name}` looks again.", err=True)
        ctx.exit(0)
    if progress.is_short:
        ctx.exit(FAILED)
