"""`producer run`."""

import signal
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click
from filelock import FileLock, Timeout

from models.database import Database
from models.errors import DatabaseError, NightshiftError
from models.picture_store import PictureStore
from models.progress import BatchProgress, batch_progress, failures
from models.publication import forget_published
from models.settings import Settings, load_settings
from models.states import JobState
from models.tables import Batch
from producer.cli import FAILED
from producer.commands.enqueue import warn_of_cut_prompts
from producer.earlier_run import stop_leftovers
from producer.embedded_server import EmbeddedServer, embedded_server
from producer.follow import follow
from producer.job_options import Order, job_options, read_order
from producer.queueing import publish_with_progress, record_batch, unfinished_batch
from producer.report import build_report
from producer.report_tables import print_report
from producer.terminal import console
from producer.worker_process import WorkerProcess, worker_process


@click.command
@job_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Do everything on this machine: server, worker, queue, progress, report. Leaves nothing running.

    Run again with the same arguments, it goes on with its unfinished batch; a finished one is made anew.
    A worker that goes away is started again. Ctrl+C finishes the running picture and stops; twice gives it back and
    stops. Neither loses a job.
    """
    order = read_order(load_settings(), **options)
    # The worker that is started here is for the first job's checkpoint.
    checkpoint = order.plan.checkpoints[0]
    settings = load_settings().model_copy(update={"checkpoint": checkpoint})
    for other in order.plan.checkpoints:
        settings.require_allowed(other)
    warn_of_cut_prompts(order)
    database = Database(settings.database)
    signal.signal(signal.SIGTERM, _interrupt)
    folder = _folder(settings)
    with ExitStack() as stack:
        stack.enter_context(_only_run(folder))
        for role in stop_leftovers(folder):
            click.echo(f"stopped a {role} that an earlier run left behind")
        server = stack.enter_context(embedded_server(folder))
        click.echo(f"starting a worker on {checkpoint} …")
        worker = stack.enter_context(worker_process(settings, database, folder, broker_url=server.url))
        batch = _batch(database, order)
        own = settings.model_copy(update={"broker_url": server.url})
        publish_with_progress(own, database, len(order.plan.jobs), batch.id)
        progress = _follow(ctx, database, batch, server, worker)
    _tell(database, batch, settings)
    if progress.faulty:
        ctx.exit(FAILED)


def _batch(database: Database, order: Order) -> Batch:
    """Return the unfinished batch of the same arguments, to be published anew, or a new one."""
    batch = unfinished_batch(database, order.plan)
    if batch is None:
        batch = record_batch(database, order)
        click.echo(f"{batch.name}: {len(order.plan.jobs):,} jobs")
        return batch
    with database.writing() as session:
        forget_published(session, batch.id)
        left = batch_progress(session, batch).counts[JobState.QUEUED]
    click.echo(f"{batch.name}: going on with its unfinished jobs, {left:,} of them queued")
    return batch


def _follow(
    ctx: click.Context, database: Database, batch: Batch, server: EmbeddedServer, worker: WorkerProcess
) -> BatchProgress:
    def look_after() -> str | None:
        said = server.look_after(), worker.look_after()
        return "; ".join(filter(None, said))

    try:
        return follow(database, batch.name, look_after, waiting="the worker loads the checkpoint")
    except KeyboardInterrupt:
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.signal(again, lambda *_: worker.hurry())
        click.echo("\nfinishing the running picture; Ctrl+C again gives it back at its next step", err=True)
        click.echo(f"{batch.name} is not done; the same command goes on with it", err=True)
        ctx.exit(FAILED)


def _tell(database: Database, batch: Batch, settings: Settings) -> None:
    with database.reading() as session:
        failed = failures(session, batch.id, limit=5)
        report = build_report(session, batch.name, everything=False)
    print_report(console(), report)
    for failure in failed:
        click.echo(f"job {failure.job_id}: {failure.error}")
    click.echo(f"\nThe pictures are in {PictureStore(settings.data_dir).folder(batch.id)}")


def _folder(settings: Settings) -> Path:
    folder = settings.data_dir / "run"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(
            f"{folder} cannot be written ({error.strerror}): choose another NIGHTSHIFT_DATA_DIR"
        ) from error
    return folder


def _only_run(folder: Path) -> FileLock:
    lock = FileLock(folder / "run.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise NightshiftError(
            f"another `producer run` is at work with {folder}: wait for it, `producer watch` follows it, or choose "
            "another NIGHTSHIFT_DATA_DIR"
        ) from None
    return lock


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
