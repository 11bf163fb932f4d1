"""`producer watch`."""

import click

from models.records.batches import find_batch
from models.records.database import Database
from models.records.trainings.trainings import find_training
from models.settings import load_settings
from producer.cli import FAILED
from producer.terminal.follow import follow
from producer.terminal.follow_training import follow_training


@click.command
@click.argument("batch", required=False)
@click.pass_context
def command(ctx: click.Context, batch: str | None) -> None:
    """Follow BATCH, a training of that name, or the newest batch, until it is done; the status is 1 if it came short.

    Ctrl+C ends the watching and nothing else.
    """
    database = Database(load_settings().database)
    with database.reading() as session:
        is_training = batch is not None and find_training(session, batch) is not None
        name = batch if batch is not None and is_training else find_batch(session, batch).name
    try:
        is_short = not follow_training(database, name).is_done_well if is_training else follow(database, name).is_short
    except KeyboardInterrupt:
        click.echo(f"The worker goes on with {name}; `producer watch {name}` looks again.", err=True)
        ctx.exit(0)
    if is_short:
        ctx.exit(FAILED)
