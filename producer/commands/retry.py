"""`producer retry`."""

import click

from models.batches import find_batch, find_job, retry
from models.database import Database
from models.settings import load_settings
from models.states import FAULTY, JobState
from models.tables import Job
from producer.queueing import publish_with_progress


@click.command
@click.argument("batch", required=False)
@click.option("--job", "job_id", type=int, help="One job, by its number.")
@click.option("--cancelled", is_flag=True, help="The cancelled jobs too.")
def command(batch: str | None, job_id: int | None, cancelled: bool) -> None:
    """Queue the failed and the quarantined jobs of BATCH, or of the newest batch, or one job again."""
    states = (*FAULTY, JobState.CANCELLED) if cancelled else FAULTY
    if batch is not None and job_id is not None:
        raise click.UsageError("name a BATCH or a --job, and not both")
    settings = load_settings()
    database = Database(settings.database)
    with database.writing() as session:
        if job_id is not None:
            find_job(session, job_id)
            name, count = f"job {job_id}", retry(session, Job.id == job_id, states=states)
        else:
            found = find_batch(session, batch)
            name, count = found.name, retry(session, Job.batch_id == found.id, states=states)
    if count == 0:
        click.echo(f"{name}: no {' or '.join(states)} jobs")
        return
    publish_with_progress(settings, database, count)
    click.echo(f"{name}: {count:,} jobs queued again")
