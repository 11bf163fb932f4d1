"""`producer cancel`."""

import click

from models.records.batches import find_batch
from models.records.database import Database
from models.records.job_control import batch_scope, cancel, job_scope
from models.settings import Settings, load_settings
from models.types.errors import BrokerError
from worker.queue.app import make_app
from worker.queue.withdrawal import withdraw


@click.command
@click.argument("batch", required=False)
@click.option("--job", "job_id", type=int, help="One job, by its number.")
def command(batch: str | None, job_id: int | None) -> None:
    """Cancel BATCH or one job: queued jobs at once, a running one at its next step."""
    if (batch is None) == (job_id is None):
        raise click.UsageError("name a BATCH or a --job, and not both")
    settings = load_settings()
    database = Database(settings.database)
    with database.writing() as session:
        scope = batch_scope(session, batch) if job_id is None else job_scope(session, job_id)
        queued, running = cancel(session, scope)
    click.echo(f"{queued:,} queued jobs cancelled, {running:,} running ones asked to stop at their next step")
    if queued and batch is not None:
        _withdraw(settings, database, batch)


def _withdraw(settings: Settings, database: Database, batch: str) -> None:
    """Take the messages of the batch's jobs off the queue; where that cannot be, workers drop them one by one."""
    with database.reading() as session:
        batch_id = find_batch(session, batch).id
    try:
        withdraw(make_app(settings), database, batch_id)
    except BrokerError as error:
        click.echo(
            f"producer: warning: {error}; workers drop the messages of cancelled jobs when they come to them", err=True
        )
