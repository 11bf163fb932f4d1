"""`producer status`."""

import json
from dataclasses import asdict
from typing import Any

import click

from models.figures.progress import BatchProgress
from models.figures.trainings import TrainingProgress
from models.records.database import Database
from models.settings import Settings, load_settings
from models.types.printable import printable
from producer.actions.status import BatchStatus, QueueState, Status, batch_status, status, training_status
from producer.format import acceptance, faults, per_hour, unreached_line
from producer.terminal.queue_lines import queue_lines
from producer.terminal.status_tables import batches_table, workers_table
from producer.terminal.tables import console
from producer.terminal.training_tables import print_training, training_json, trainings_table

_SHOWN_FAILURES = 10


@click.command
@click.argument("batch", required=False)
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
def command(batch: str | None, as_json: bool) -> None:
    """Show how far BATCH is, or a training of that name, or the newest of both."""
    settings = load_settings()
    database = Database(settings.database)
    if batch is None:
        _show_all(status(settings, database), settings, as_json=as_json)
    elif (training := training_status(settings, database, batch)) is not None:
        _show_training(*training, as_json=as_json)
    else:
        _show_one(batch_status(settings, database, batch, _SHOWN_FAILURES), settings, as_json=as_json)


def _show_all(found: Status, settings: Settings, *, as_json: bool) -> None:
    if as_json:
        rows = {"batches": list(map(_row, found.batches)), "trainings": list(map(training_json, found.trainings))}
        click.echo(json.dumps(rows | asdict(found.queue), indent=2, default=str))
        return
    out = console()
    if found.batches or found.trainings:
        if found.batches:
            out.print(batches_table(found.batches))
    else:
        out.print(_first_steps(settings), soft_wrap=True)
    if found.trainings:
        out.print(trainings_table(found.trainings))
    is_left = any(row.remaining for row in found.batches) or any(not one.is_over for one in found.trainings)
    _show_queue(found.queue, work_left=is_left)
    for row in found.batches:
        _advise(row)


def _first_steps(settings: Settings) -> str:
    return f"""There is no batch yet in {settings.data_dir}. To see pictures in a minute, without a download:

  producer run --prompt "a photo of red boots on white background" --checkpoint demo

With Stable Diffusion 1.5, and prompts in a file, one a line:

  producer download
  producer run --prompts shoes.txt
"""


def _show_training(found: TrainingProgress, queue: QueueState, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(training_json(found) | asdict(queue), indent=2, default=str))
        return
    print_training(console(), found)
    _show_queue(queue, work_left=not found.is_over)


def _show_one(found: BatchStatus, settings: Settings, *, as_json: bool) -> None:
    progress = found.progress
    if as_json:
        lists = {"failures": [asdict(one) for one in found.failures]}
        lists |= {"unreached": [asdict(picture) for picture in found.unreached]}
        figures = {"missing_pictures": found.missing_pictures, "acceptance": found.standing and asdict(found.standing)}
        click.echo(json.dumps(_row(progress) | lists | figures | asdict(found.queue), indent=2, default=str))
        return
    out = console()
    out.print(batches_table([progress]))
    _show_queue(found.queue, work_left=bool(progress.remaining))
    _advise(progress)
    if found.standing is not None:
        pace = per_hour(progress.per_hour(found.pace_s))
        click.echo(f"{progress.name}: {acceptance(progress, found.standing)}; {pace}")
    if found.missing_pictures:
        what = f"{found.missing_pictures} of its pictures are no longer in {settings.data_dir}"
        out.print(f"{progress.name}: {what}", soft_wrap=True)
    for failure in found.failures:
        line = f", line {failure.source_line}" if failure.source_line else ""
        out.print(f"job {failure.job_id}{line}: {printable(failure.error)}", soft_wrap=True)
    for picture in found.unreached:
        out.print(unreached_line(picture), soft_wrap=True)
    if (more := progress.faulty - len(found.failures)) > 0:
        out.print(f"… and {more:,} more of them")


def _row(progress: BatchProgress) -> dict[str, Any]:
    return asdict(progress) | {"total": progress.total, "remaining": progress.remaining}


def _show_queue(state: QueueState, *, work_left: bool) -> None:
    out = console()
    if state.workers:
        out.print(workers_table(state.workers))
    for line in queue_lines(state, work_left=work_left):
        out.print(line, soft_wrap=True)


def _advise(row: BatchProgress) -> None:
    if row.unpublished:
        click.echo(
            f"{row.name}: {row.unpublished:,} queued jobs are not on the queue; `producer publish` puts them there"
        )
    if row.faulty:
        click.echo(f"{row.name}: {faults(row)}; `producer retry {row.name}` queues them again")
