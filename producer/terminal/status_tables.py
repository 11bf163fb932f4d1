"""The tables of `producer status`."""

from collections.abc import Sequence

from rich.table import Table

from models.figures.progress import BatchProgress
from models.figures.trainings import SegmentFigures, TrainingProgress
from models.records.workers import KnownWorker
from models.types.states import JobState
from producer.format import ago, duration, moment, number, seconds, size
from producer.terminal.tables import table

_SHOWN_SEGMENTS = 20


def batches_table(progress: Sequence[BatchProgress]) -> Table:
    """Return how far batches are, by the states of their jobs."""
    shown = table(None, "batch", "made at", *JobState, "of", right=(*JobState, "of"))
    for row in progress:
        shown.add_row(row.name, moment(row.created_at), *(str(row.counts[s]) for s in JobState), str(row.total))
    return shown


def trainings_table(progress: Sequence[TrainingProgress]) -> Table:
    """Return how far trainings are."""
    shown = table("Trainings", "training", "made at", "is", "step", "of", "a step", "loss", "held out", "left")
    for row in progress:
        training, newest = row.training, row.newest
        left = "-" if row.is_over else duration(row.left.seconds)
        losses = (None, None) if newest is None else (newest.loss, newest.held_out_loss)
        shown.add_row(
            training.name,
            moment(training.created_at),
            training.state,
            f"{training.step:,}",
            f"{training.steps:,}",
            seconds(row.step_s),
            *(number(loss, 4) for loss in losses),
            left,
        )
    return shown


def segments_table(segments: Sequence[SegmentFigures]) -> Table:
    """Return what the newest segments of a training measured."""
    shown = table("Segments, the newest last", "steps", "took", "a step", "loss", "held out", "rate", "memory", "LoRA")
    for one in segments[-_SHOWN_SEGMENTS:]:
        shown.add_row(
            f"{one.begun_step + 1:,} to {one.ended_step:,}",
            duration(one.total_s),
            seconds(one.step_s),
            number(one.loss, 4),
            number(one.held_out_loss, 4),
            "-" if one.learning_rate is None else f"{one.learning_rate:.2g}",
            size(one.peak_bytes),
            one.lora or "-",
        )
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
