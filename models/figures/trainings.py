"""How far trainings are, what they learnt, and how long they take."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.figures.estimates import Estimate, Sample, estimate
from models.records.tables import Boot, Segment, Training
from models.records.trainings.trainings import KnownTraining
from models.training.config import TrainingConfig
from models.types.states import FINISHED, JobState, Outcome

#: Segments of the past that say how long steps take.
_TAKEN = 200


@dataclass(frozen=True)
class SegmentFigures:
    """A segment that was done."""

    number: int
    finished_at: datetime
    begun_step: int
    ended_step: int
    #: From its claim to its end, and until its first step.
    total_s: float
    ready_s: float
    step_s: float | None
    pictures_a_step: int | None
    loss: float | None
    held_out_loss: float | None
    learning_rate: float | None
    peak_bytes: int | None
    #: The LoRA that was saved at its end.
    lora: str | None


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is."""

    training: KnownTraining
    segments: Sequence[SegmentFigures]
    #: What is left, of the training alone: pictures that are made between two segments come on top.
    left: Estimate

    @property
    def is_over(self) -> bool:
        """Whether no worker has anything to do for it."""
        return self.training.state in FINISHED

    @property
    def is_done_well(self) -> bool:
        """Whether all steps were taken."""
        return self.training.state is JobState.SUCCEEDED

    @property
    def step_s(self) -> float | None:
        """Mean seconds of a step in steady state; None where none was measured."""
        return fmean(times) if (times := [one.step_s for one in self.segments if one.step_s is not None]) else None

    @property
    def pictures_per_s(self) -> float | None:
        """Pictures learnt from in a second of such steps."""
        pictures = None if self.newest is None else self.newest.pictures_a_step
        return None if not self.step_s or pictures is None else pictures / self.step_s

    @property
    def newest(self) -> SegmentFigures | None:
        """The newest segment that took a step."""
        return self.segments[-1] if self.segments else None


def training_progress(session: Session, training: KnownTraining) -> TrainingProgress:
    """Return how far a training is."""
    done = _done(session, training.id)
    return TrainingProgress(training, done, _estimate(_later(done), training.steps - training.step))


@dataclass(frozen=True)
class ExpectedTraining:
    """What a training takes, by another one that was as this one is to be."""

    time: Estimate
    #: None where none was measured.
    peak_bytes: int | None


def expected_training(session: Session, config: TrainingConfig, host: str) -> ExpectedTraining:
    """Return what a training takes, by what this host took for steps that are as large, of the same checkpoint."""
    of_work = ("model_id", "resolution", "train_batch_size", "gradient_accumulation_steps", "train_text_encoder")
    query = (
        select(Training)
        .where(
            Training.id.in_(select(Segment.training_id).join(Boot, Segment.boot_id == Boot.id).where(Boot.host == host))
        )
        .order_by(Training.id.desc())
        .limit(_TAKEN)
    )
    asked = config.model_dump(mode="json")
    for earlier in session.scalars(query):
        if all(earlier.config.get(name) == asked[name] for name in of_work):
            done = _done(session, earlier.id)
            peaks = [one.peak_bytes for one in done if one.peak_bytes is not None]
            takes = _estimate(_later(done), config.max_train_steps, done[0].ready_s if done else 0.0)
            return ExpectedTraining(takes, max(peaks, default=None))
    return ExpectedTraining(Estimate(config.max_train_steps, None, None, None), None)


def _done(session: Session, training_id: int) -> list[SegmentFigures]:
    done = (Segment.outcome == Outcome.SUCCEEDED, Segment.ended_step > Segment.begun_step)
    rows = session.scalars(select(Segment).where(Segment.training_id == training_id, *done).order_by(Segment.number))
    return [
        SegmentFigures(
            row.number,
            row.finished_at or row.started_at,
            row.begun_step,
            row.ended_step or row.begun_step,
            0.0 if row.finished_at is None else (row.finished_at - row.started_at).total_seconds(),
            row.ready_s or 0.0,
            row.step_s,
            row.pictures_a_step,
            row.loss,
            row.held_out_loss,
            row.learning_rate,
            row.rss_peak_bytes if row.device_driver_peak_bytes is None else row.device_driver_peak_bytes,
            row.lora,
        )
        for row in rows
    ]


def _later(done: Sequence[SegmentFigures]) -> Sequence[SegmentFigures]:
    """Return the segments but the first, which alone encodes the pictures; that one where there is no other."""
    return done[1:] or done


def _estimate(done: Sequence[SegmentFigures], steps: int, begin_s: float = 0.0) -> Estimate:
    """Return how long so many further steps take and what comes before them, each segment being a value."""
    # With what comes beside the steps: making ready, what is held out, writing.
    if not steps:
        return Estimate(0, 0.0, 0.0, 0.0)
    times = [one.total_s / (one.ended_step - one.begun_step) for one in done[-_TAKEN:]]
    if not times:
        return Estimate(steps, None, None, None)
    size = fmean(one.ended_step - one.begun_step for one in done)
    found = estimate(Sample([time * size for time in times]), steps / size)
    all_of_it = (None if each is None else each + begin_s for each in (found.seconds, found.low_s, found.high_s))
    return Estimate(steps, *all_of_it)
