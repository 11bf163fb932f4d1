"""`producer cancel`."""

import click

from models.database import Database
from models.job_control import batch_scope, cancel, job_scope
from models.settings import load_settings


@click.command
@click.argument("batch", required=False)
@click.option("--job", "job_id", type=int, help="One job, by its number.")
def command(batch: str | None, job_id: int | None) -> None:
    """Cancel BATCH or one job: queued jobs at once, a running one at its next step."""
    if (batch is None) == (job_id is None):
        raise click.UsageError("name a BATCH or a --job, and not both")
    with Database(load_settings().database).writing() as session:
        scope = batch_scope(session, batch) if job_id is None else job_scope(session, job_id)
        queued, running = cancel(session, scope)
    click.echo(f"{queued:,} queued jobs cancelled, {running:,} running ones asked to stop at their next step")
