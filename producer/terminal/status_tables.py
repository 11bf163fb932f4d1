"""The tables of `producer status`."""

from collections.abc import Sequence

from rich.table import Table

from models.figures.progress import BatchProgress
from models.records.workers import KnownWorker
from models.types.states import JobState
from producer.format import ago, moment
from producer.terminal.tables import table


def batches_table(progress: Sequence[BatchProgress]) -> Table:
    """Return how far batches are, by the states of their jobs."""
    shown = table(None, "batch", "made at", *JobState, "of", right=(*JobState, "of"))
    for row in progress:
        shown.add_row(row.name, moment(row.created_at), *(str(row.counts[s]) for s in JobState), str(row.total))
    return shown


def workers_table(workers: Sequence[KnownWorker]) -> Table:
    """Return what workers are at."""
    shown = table("Workers", "on", "device", "since", "is", "at", "last sign of life")
    for worker in workers:
        at = "-" if worker.job_id is None else f"job {worker.job_id} of {worker.batch}"
        at = at if worker.training is None else f"training {worker.training}"
        at += f" and {worker.other_jobs} more" if worker.other_jobs else ""
        device = f"{worker.device}: {worker.device_name}"
        since = moment(worker.started_at)
        shown.add_row(worker.host, device, since, worker.state, at, ago(worker.seen_at))
    return shown
