"""`producer bench`."""

import shutil
import socket
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from models.figures.hardware import paces
from models.figures.progress import failures
from models.figures.throughput import sums_by_load
from models.records.database import Database
from models.records.workers import WorkerState, known_workers
from models.settings import Settings, load_settings
from models.types.errors import BadInputError, NightshiftError
from models.types.job import DEFAULT_PRIORITY
from producer.actions.enqueue import publish_jobs, record_batch
from producer.actions.reports.bench_results import BenchFile, BenchResult, from_pace
from producer.commands.make.job_options import given, pace_options
from producer.local.earlier_run import only_run
from producer.local.interrupts import on_next_interrupt, treat_all_as_ctrl_c
from producer.local.queue import local_queue
from producer.planning.plan import Order, plan_jobs
from producer.prompts.request import Request
from producer.terminal.bench_tables import print_result
from producer.terminal.follow import follow
from producer.terminal.tables import console

_PROMPT = "A professional product photo of black casual shoes on white background"


@click.command
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--pictures", type=click.IntRange(3, 10_000), default=20, show_default=True, help="Pictures to make.")
@pace_options
def command(file: Path, pictures: int, **flags: Any) -> None:
    """Measure this machine with a worker of its own, and write FILE (JSON) for `producer report --compare FILE`.

    Load, warm-up, seconds a picture and a step in steady state, memory. The pictures are thrown away.
    """
    if file.exists():
        raise BadInputError([f"{file} is there already: name another, or move it away"])
    if not file.absolute().parent.is_dir():
        raise BadInputError([f"{file.absolute().parent} is no folder: make it, or name another"])
    settings = load_settings()
    # Pictures with the guidance and the seed of everyone else's.
    flags = {"seed": 1, "count": pictures, **given(flags)}
    plan = plan_jobs([Request(None, {"prompt": _PROMPT})], flags, settings.checkpoint, "bench")
    _require_no_worker(settings)
    treat_all_as_ctrl_c()
    result = _measure(settings, Order(plan, "bench", "bench", settings.queue_names[0], DEFAULT_PRIORITY))
    # On the screen first: a disk that is full then costs the file alone.
    print_result(console(), result)
    try:
        file.write_text(BenchFile(results=[result]).model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise NightshiftError(f"{file} cannot be written: {error.strerror or error}") from error
    click.echo(f"\nwritten to {file}; `producer report --compare FILE…` shows such files side by side")


def _measure(settings: Settings, order: Order) -> BenchResult:
    """Make the pictures in a folder of their own, and return what was measured.

    Raises:
        NightshiftError: if not all were made, or by more than one worker.
    """
    folder = settings.data_dir / "bench"
    data = folder / "data"
    checkpoint = order.plan.checkpoints[0]
    # One picture a call unless a person says otherwise: that is what others publish, and a bench makes too few to tune.
    own = settings.model_copy(
        update={"checkpoint": checkpoint, "data_dir": data, "database_url": "", "pictures_url": "", "tuning": False}
    )
    with only_run("bench", folder):
        # Of one that was cut short.
        shutil.rmtree(data, ignore_errors=True)
        database = Database(own.database)
        try:
            with local_queue(own, database, folder) as queue:
                batch, _ = record_batch(database, order)
                publish_jobs(queue.settings, database, len(order.plan.jobs), batch.id)
                try:
                    progress = follow(database, batch.name, queue.look_after, waiting="the worker loads the checkpoint")
                except KeyboardInterrupt:
                    # The picture that is being made is thrown away in any case.
                    queue.hurry()
                    on_next_interrupt(queue.hurry)
                    raise
            with database.reading() as session:
                if progress.faulty:
                    raise NightshiftError(f"not measured: {failures(session, batch.id, limit=1)[0].error}")
                loads, found = sums_by_load(session, batch.id), paces(session)
                if len(loads) != 1 or not found:
                    raise NightshiftError("not measured: the worker was started again meanwhile, or never got warm")
        finally:
            database.close()
            shutil.rmtree(data, ignore_errors=True)
    (load,), (pace,) = loads, found
    made = load.load
    return from_pace(pace, f"producer bench, Nightshift {version('nightshift')}").model_copy(
        update={
            "measured_on": made.started_at.date(),
            "chip": made.chip,
            "threads": made.threads,
            "memory_total_bytes": made.memory_total_bytes,
            "versions": dict(made.versions),
            "revision": made.revision,
        }
    )


def _require_no_worker(settings: Settings) -> None:
    """Refuse to measure a machine that another worker works on.

    Raises:
        NightshiftError: naming it.
    """
    with Database(settings.database).reading() as session:
        for worker in known_workers(session, settings.stall_s):
            if worker.host == socket.gethostname() and worker.state is not WorkerState.SILENT:
                raise NightshiftError(f"not measured: a worker has the {worker.device} of this machine; stop it first")
