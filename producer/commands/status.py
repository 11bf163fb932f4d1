"""`producer status`."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.table import Table

from models.figures.progress import (
    BatchProgress,
    batch_progress,
    failures,
    is_judged,
    missing_pictures,
    newest_batches,
    recent_speed,
)
from models.pictures.store import PictureStore
from models.records.acceptance import standing, unreached
from models.records.batches import find_batch
from models.records.database import Database
from models.records.workers import KnownWorker
from models.settings import load_settings
from models.types.printable import printable
from models.types.states import JobState
from producer.format import acceptance, ago, console, faults, given_up, moment, per_hour, table
from producer.terminal.queue_state import queue_state

_NEWEST = 20
_SHOWN_FAILURES = 10


@click.command
@click.argument("batch", required=False)
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
def command(batch: str | None, as_json: bool) -> None:
    """Show how far BATCH is, or the newest batches."""
    settings = load_settings()
    database = Database(settings.database)
    with database.reading() as session:
        batches = [find_batch(session, batch)] if batch else newest_batches(session, _NEWEST)
        progress = [batch_progress(session, b) for b in batches]
        failed = failures(session, batches[0].id, _SHOWN_FAILURES) if batch else []
        missing = missing_pictures(session, batches[0].id, PictureStore(settings.data_dir)) if batch else 0
        judged = batch is not None and is_judged(batches[0], progress[0])
        found = standing(session, batches[0].id) if judged else None
        short = unreached(session, batches[0].id, _SHOWN_FAILURES) if judged and progress[0].is_short else []
        pace_s = recent_speed(session, batches[0].id) if judged else None
        state = queue_state(database, session, settings)
    if as_json:
        rows = [asdict(p) | {"total": p.total, "remaining": p.remaining} for p in progress]
        figures = {"missing_pictures": missing, "acceptance": found and asdict(found)}
        lists = {"failures": [asdict(f) for f in failed], "unreached": [asdict(picture) for picture in short]}
        extra = lists | figures | asdict(state) if batch else {}
        click.echo(json.dumps((rows[0] | extra) if batch else rows, indent=2, default=str))
        return
    out = console()
    if progress:
        out.print(_batches(progress))
    else:
        out.print("There is no batch yet: `producer enqueue --prompts FILE` makes one.")
    if state.workers:
        out.print(_workers(state.workers))
    for line in state.lines(work_left=any(row.remaining for row in progress)):
        out.print(line, soft_wrap=True)
    for row in progress:
        _advise(row)
    if found is not None:
        click.echo(f"{progress[0].name}: {acceptance(progress[0], found)}; {per_hour(progress[0].per_hour(pace_s))}")
    if missing:
        out.print(f"{progress[0].name}: {missing} of its pictures are no longer in {settings.data_dir}", soft_wrap=True)
    for failure in failed:
        line = f", line {failure.source_line}" if failure.source_line else ""
        out.print(f"job {failure.job_id}{line}: {printable(failure.error)}", soft_wrap=True)
    for picture in short:
        out.print(given_up(picture), soft_wrap=True)
    more = progress[0].faulty - len(failed) if batch else 0
    if more > 0:
        out.print(f"… and {more:,} more of them")


def _batches(progress: Sequence[BatchProgress]) -> Table:
    shown = table(None, "batch", "made at", *JobState, "of", right=(*JobState, "of"))
    for row in progress:
        shown.add_row(row.name, moment(row.created_at), *(str(row.counts[s]) for s in JobState), str(row.total))
    return shown


def _workers(workers: Sequence[KnownWorker]) -> Table:
    shown = table("Workers", "on", "device", "since", "is", "at", "last sign of life")
    for worker in workers:
        at = "-" if worker.job_id is None else f"job {worker.job_id} of {worker.batch}"
        device = f"{worker.device}: {worker.device_name}"
        since = moment(worker.started_at)
        shown.add_row(worker.host, device, since, worker.state, at, ago(worker.seen_at))
    return shown


def _advise(row: BatchProgress) -> None:
    if row.unpublished:
        click.echo(
            f"{row.name}: {row.unpublished:,} queued jobs are not on the queue; `producer publish` puts them there"
        )
    if row.faulty:
        click.echo(f"{row.name}: {faults(row)}; `producer retry {row.name}` queues them again")
