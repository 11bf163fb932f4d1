"""`producer run`."""

from typing import Any

import click

from models.figures.progress import BatchProgress, batch_progress, failures
from models.figures.tuned import known_tuning
from models.pictures.opening import open_store
from models.records.batches import KnownBatch
from models.records.database import Database
from models.records.publication import forget_published
from models.settings import Settings, load_settings
from models.types.errors import BadInputError
from models.types.printable import printable
from models.types.states import JobState
from producer.actions.enqueue import publish_jobs, record_batch, same_batch
from producer.actions.reports.report import build_report
from producer.cli import FAILED
from producer.commands.machine.devices import device_option, named_devices
from producer.commands.make.enqueue import amount, warn_of_prompts
from producer.commands.make.job_options import job_options, read_order
from producer.format import states
from producer.local.earlier_run import only_run
from producer.local.interrupts import on_next_interrupt, treat_all_as_ctrl_c
from producer.local.queue import LocalQueue, local_queue
from producer.planning.lacking_loras import lacking_loras
from producer.planning.plan import Order
from producer.prompts.problems import place
from producer.terminal.follow import follow
from producer.terminal.progress_bar import progress_bar
from producer.terminal.report_tables import print_report
from producer.terminal.tables import console


@click.command
@job_options
@device_option("A worker for this device; several times, one each; all: one a GPU. Default: the settings' device.")
@click.option("--no-tune", is_flag=True, help="Try nothing that may be faster: one picture a call, in the usual form.")
@click.pass_context
def command(ctx: click.Context, /, devices: tuple[str, ...], no_tune: bool, **options: Any) -> None:
    """Do everything on this machine: server, worker, queue, progress, report. Leaves nothing running.

    Run again with the same arguments, it goes on with its unfinished batch, and says so of a finished one; --new makes
    another.
    A worker that goes away is started again. Ctrl+C finishes the running picture and stops; twice gives it back and
    stops. Neither loses a job.
    """
    order = read_order(load_settings(), **options)
    # The worker that is started here is for the first job's checkpoint.
    checkpoint = order.plan.checkpoints[0]
    settings = load_settings()
    settings = settings.model_copy(update={"checkpoint": checkpoint, "tuning": settings.tuning and not no_tune})
    for other in order.plan.checkpoints:
        settings.require_allowed(other)
    if order.queue not in settings.queue_names:
        raise BadInputError([f"--queue {order.queue}: this worker takes from {settings.queues} (NIGHTSHIFT_QUEUES)"])
    # The worker is on this machine.
    if lacking := list(lacking_loras(order.plan, settings)):
        raise BadInputError([f"{place(order.source, line)}: {said}" if line else said for line, said in lacking])
    warn_of_prompts(order, settings)
    database = Database(settings.database)
    treat_all_as_ctrl_c()
    folder = settings.data_dir / "run"
    same = same_batch(database, order)
    if same is not None and same[1].remaining == 0:
        batch, progress = same
        _tell(database, batch, settings)
        click.echo(f"{batch.name} asks for the same and is finished ({states(progress)}); --new makes another batch")
        ctx.exit(FAILED if progress.is_short else 0)
    with only_run("run", folder), local_queue(settings, database, folder, named_devices(devices)) as own:
        try:
            own.wait_until_ready()
        except KeyboardInterrupt:
            own.abandon()
            click.echo("\nended before the worker was ready; no job was added", err=True)
            ctx.exit(FAILED)
        batch = _batch(database, order)
        publish_jobs(own.settings, database, len(order.plan.jobs), batch.id, progress_bar)
        progress = _follow(ctx, database, batch, own)
    _tell(database, batch, settings)
    if progress.is_short:
        ctx.exit(FAILED)


def _batch(database: Database, order: Order) -> KnownBatch:
    """Return the unfinished batch of the same arguments, to be published anew, or a new one."""
    batch, is_new = record_batch(database, order, progress_bar)
    if is_new:
        click.echo(f"{batch.name}: {amount(order)}")
        return batch
    with database.writing() as session:
        forget_published(session, batch.id)
        left = batch_progress(session, batch).counts[JobState.QUEUED]
    click.echo(f"{batch.name}: going on with its unfinished jobs, {left:,} of them queued")
    return batch


def _follow(ctx: click.Context, database: Database, batch: KnownBatch, own: LocalQueue) -> BatchProgress:
    try:
        return follow(database, batch.name, own.look_after, waiting="the worker loads the checkpoint")
    except KeyboardInterrupt:
        on_next_interrupt(own.hurry)
        click.echo("\nfinishing the running picture; Ctrl+C again gives it back at its next step", err=True)
        click.echo(f"{batch.name} is not done; the same command goes on with it", err=True)
        ctx.exit(FAILED)


def _tell(database: Database, batch: KnownBatch, settings: Settings) -> None:
    with database.reading() as session:
        failed = failures(session, batch.id, limit=5)
        report = build_report(session, batch.name, everything=False, tuning=known_tuning(settings.data_dir))
    print_report(console(), report)
    for failure in failed:
        click.echo(f"job {failure.job_id}: {printable(failure.error)}")
    click.echo(f"\nThe pictures are in {open_store(settings).shown_folder(batch.id)}")
