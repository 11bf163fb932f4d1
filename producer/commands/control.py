"""Commands over what is on the queue: `producer cancel`, `retry`, `publish`, `pause`, `resume`."""

import click

from models.records import control as record
from models.records.database import Database
from models.settings import load_settings
from models.types.states import JobState
from producer.actions import control
from producer.actions.enqueue import publish_anew, publish_jobs
from producer.actions.training import publish_training
from producer.terminal.progress_bar import progress_bar


@click.command
@click.argument("batch", required=False)
@click.option("--job", "job_id", type=int, help="One job, by its number.")
def cancel(batch: str | None, job_id: int | None) -> None:
    """Cancel BATCH, a training of that name, or one job: queued jobs at once, a running one at its next step.

    What a training has learnt so far stays, and `producer retry --cancelled` goes on from there.
    """
    if (batch is None) == (job_id is None):
        raise click.UsageError("name a BATCH or a --job, and not both")
    settings = load_settings()
    database = Database(settings.database)
    if batch is not None and (states := control.cancel_training_of(database, batch)) is not None:
        click.echo(f"training {batch}: {_said_of(*states)}")
        return
    done = control.cancel(settings, database, batch=batch, job=job_id)
    click.echo(f"{done.queued:,} queued jobs cancelled, {done.running:,} running ones asked to stop at their next step")
    if done.left_on_queue is not None:
        what = "workers drop the messages of cancelled jobs when they come to them"
        click.echo(f"producer: warning: {done.left_on_queue}; {what}", err=True)


def _said_of(before: JobState, after: JobState) -> str:
    if after is JobState.RUNNING:
        return "asked to stop at its next step"
    return "cancelled" if before is JobState.QUEUED else f"it has ended already: {after}"


@click.command
@click.argument("batch", required=False)
@click.option("--job", "job_id", type=int, help="One job, by its number.")
@click.option("--cancelled", is_flag=True, help="The cancelled jobs too.")
def retry(batch: str | None, job_id: int | None, cancelled: bool) -> None:
    """Queue the failed and the quarantined jobs of BATCH, or of the newest batch, or one job again.

    BATCH may be a training, which goes on from its last state. Where the batch has a target, rejected pictures that
    nothing stands in for yet are made with other seeds.
    """
    if batch is not None and job_id is not None:
        raise click.UsageError("name a BATCH or a --job, and not both")
    settings = load_settings()
    database = Database(settings.database)
    if batch is not None and (found := control.retry_training_of(settings, database, batch, cancelled=cancelled)):
        training, again = found
        what = (
            f"queued, and goes on from step {training.step:,}" if again else f"nothing to retry: it is {training.state}"
        )
        click.echo(f"training {batch}: {what}")
        return
    done = control.retry(settings, database, batch=batch, job=job_id, cancelled=cancelled, progress=progress_bar)
    what = f"{done.count:,} jobs queued" if done.count else f"no {' or '.join(done.states)} jobs"
    click.echo(f"{done.name}: {what}")


@click.command
@click.argument("batch", required=False)
def publish(batch: str | None) -> None:
    """Put queued jobs on the queue that are not there, for instance after Redis was away.

    With BATCH, its queued jobs are published whether or not they were before: for a queue that was
    emptied, or another Redis. A job that is published twice is still made once.
    """
    settings = load_settings()
    database = Database(settings.database)
    if batch is None:
        count = publish_jobs(settings, database, 0, progress=progress_bar) + publish_training(settings, database)
    else:
        count = publish_anew(settings, database, batch, progress_bar)
    click.echo(f"{count:,} jobs published")


@click.command
def pause() -> None:
    """Pause the queue: the running job is finished, and no other begins until `producer resume`.

    The pause outlasts workers and restarts. Jobs can be enqueued and cancelled meanwhile.
    """
    with Database(load_settings().database).writing() as session:
        paused = record.pause(session)
    click.echo("the queue is paused; `producer resume` goes on" if paused else "the queue is paused already")


@click.command
def resume() -> None:
    """Let a paused queue go on; workers notice within a heartbeat."""
    with Database(load_settings().database).writing() as session:
        resumed = record.resume(session)
    click.echo("the queue goes on" if resumed else "the queue is not paused")
