"""`producer cancel`."""

import click
from sqlalchemy import ColumnElement

from models.batches import cancel, find_batch, find_job
from models.database import Database
from models.settings import load_settings
from models.tables import Job


@click.command
@click.argument("batch", required=False)
@click.option("--job", "job_id", type=int, help="One job, by its number.")
def command(batch: str | None, job_id: int | None) -> None:
    """Cancel BATCH or one job: queued jobs at once, a running one at its next step."""
    if (batch is None) == (job_id is None):
        raise click.UsageError("name a BATCH or a --job, and not both")
    with Database(load_settings().database).writing() as session:
        scope: ColumnElement[bool]
        if batch is not None:
            scope = Job.batch_id == find_batch(session, batch).id
        else:
            scope = Job.id == find_job(session, job_id or 0).id
        queued, running = cancel(session, scope)
    click.echo(f"{queued:,} queued jobs cancelled, {running:,} running ones asked to stop at their next step")
