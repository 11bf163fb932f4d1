"""What a terminal shows of trainings."""

from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from models.figures.trainings import SegmentFigures, TrainingProgress
from models.types.printable import printable
from models.types.states import FAULTY
from producer.format import duration, moment, number, seconds, size
from producer.terminal.tables import table

_SHOWN_SEGMENTS = 20


def training_json(found: TrainingProgress) -> dict[str, object]:
    """Return all that is known of a training, for machines."""
    figures = {
        "step_s": found.step_s,
        "pictures_per_s": found.pictures_per_s,
        "left": asdict(found.left),
        "segments": [asdict(s) for s in found.segments],
    }
    return asdict(found.training) | figures


def print_training(out: Console, found: TrainingProgress) -> None:
    """Print how far a training is, what its segments measured, and what a person should know."""
    out.print(trainings_table([found]))
    if found.segments:
        out.print(segments_table(found.segments))
    for line in _lines(found):
        out.print(line, soft_wrap=True)


def _lines(found: TrainingProgress) -> list[str]:
    training, left = found.training, found.left
    name, said = training.name, []
    if not found.is_over and left.seconds is not None:
        between = f" (95 of 100 times {duration(left.low_s)} to {duration(left.high_s)})" if left.low_s else ""
        said.append(f"{name}: {duration(left.seconds)} left{between}, and what is made between its segments")
    if found.pictures_per_s is not None:
        said.append(f"{name}: {number(found.pictures_per_s)} pictures a second")
    if training.rate_share < 1:
        said.append(f"{name}: a loss was not finite, and the rates are {training.rate_share:g} of what was asked")
    if training.saves_memory:
        said.append(f"{name}: memory ran out, or workers went away, so it checkpoints gradients: steps take longer")
    if training.error:
        said.append(f"{name}: {printable(training.error)}")
    if training.state in FAULTY:
        said.append(f"{name}: `producer retry {name}` goes on from step {training.step:,}")
    if found.is_done_well and training.validation_batch_id is not None:
        said.append(f"{name}: `producer compare {name}` says which of its checkpoints is best")
    return said


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
