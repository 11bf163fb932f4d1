"""`producer retry`."""

import click

from models.records.database import Database
from models.records.job_control import batch_scope, job_scope, replace_rejected, retry
from models.settings import load_settings
from models.types.states import FAULTY, JobState
from producer.actions.queueing import publish_with_progress


@click.command
@click.argument("batch", required=False)
@click.option("--job", "job_id", type=int, help="One job, by its number.")
@click.option("--cancelled", is_flag=True, help="The cancelled jobs too.")
def command(batch: str | None, job_id: int | None, cancelled: bool) -> None:
    """Queue the failed and the quarantined jobs of BATCH, or of the newest batch, or one job again.

    Where the batch has a target, rejected pictures that nothing stands in for yet are made with other seeds.
    """
    states = (*FAULTY, JobState.CANCELLED) if cancelled else FAULTY
    if batch is not None and job_id is not None:
        raise click.UsageError("name a BATCH or a --job, and not both")
    settings = load_settings()
    database = Database(settings.database)
    with database.writing() as session:
        scope = batch_scope(session, batch) if job_id is None else job_scope(session, job_id)
        count = retry(session, scope, states) + replace_rejected(session, scope)
    if count == 0:
        click.echo(f"{scope.name}: no {' or '.join(states)} jobs")
        return
    publish_with_progress(settings, database, count)
    click.echo(f"{scope.name}: {count:,} jobs queued")
