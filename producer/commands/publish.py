"""`producer publish`."""

import click

from models.records.batches import find_batch
from models.records.database import Database
from models.records.publication import forget_published
from models.settings import load_settings
from producer.actions.queueing import publish_with_progress


@click.command
@click.argument("batch", required=False)
def command(batch: str | None) -> None:
    """Put queued jobs on the queue that are not there, for instance after Redis was away.

    With BATCH, its queued jobs are published whether or not they were before: for a queue that was
    emptied, or another Redis. A job that is published twice is still made once.
    """
    settings = load_settings()
    database = Database(settings.database)
    batch_id = None
    if batch is not None:
        with database.writing() as session:
            batch_id = find_batch(session, batch).id
            forget_published(session, batch_id)
    count = publish_with_progress(settings, database, 0, batch_id)
    click.echo(f"{count:,} jobs published")
