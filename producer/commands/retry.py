"""`producer retry`."""

import click

from models.batches import find_batch, retry
from models.database import Database
from models.settings import load_settings
from models.states import FAULTY, JobState
from models.tables import Job
from producer.queueing import publish_with_progress


@click.command
@click.argument("batch", required=False)
@click.option("--cancelled", is_flag=True, help="The cancelled jobs too.")
def command(batch: str | None, cancelled: bool) -> None:
    """Queue the failed and the quarantined jobs of BATCH, or of the newest batch, again."""
    states = (*FAULTY, JobState.CANCELLED) if cancelled else FAULTY
    database = Database(load_settings().database)
    with database.writing() as session:
        found = find_batch(session, batch)
        count = retry(session, Job.batch_id == found.id, states=states)
    if count == 0:
        click.echo(f"{found.name}: no {' or '.join(states)} jobs")
        return
    publish_with_progress(database, count)
    click.echo(f"{found.name}: {count:,} jobs queued again")
