"""Trainings, and the segments in which a worker takes their steps."""

from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.records.tables.columns import (
    Base,
    Bytes,
    Json,
    Key,
    LongText,
    LongTextOrNone,
    Moment,
    MomentOrNone,
)
from models.types.message import DEFAULT_QUEUE
from models.types.states import JobState, Outcome

_UNFINISHED = text("finished_at IS NULL")


class Training(Base):
    """The making of one LoRA."""

    __tablename__ = "trainings"
    __table_args__ = (
        Index("ix_trainings_unfinished", "state", sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED),
    )

    id: Mapped[Key]
    uid: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    #: As `models.training.config` has it, all keys.
    config: Mapped[dict[str, Any]] = mapped_column(Json)
    #: Folder of pictures and captions on the worker's machine.
    data: Mapped[LongText]
    #: Of the checkpoint that its first segment loaded, as `Load` has it; None before.
    revision: Mapped[LongTextOrNone]
    #: As `models.training.place` names the data folder that has its files.
    place: Mapped[str] = mapped_column(String(32))
    #: How many pictures are learnt from, and how many are held out.
    pictures: Mapped[int]
    held_out: Mapped[int]
    #: The pictures by which its checkpoints are compared; None where there are none.
    validation_batch_id: Mapped[int | None] = mapped_column(ForeignKey("batches.id"))
    queue: Mapped[str] = mapped_column(String(64), default=DEFAULT_QUEUE, server_default=text(f"'{DEFAULT_QUEUE}'"))
    priority: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), default=JobState.QUEUED)
    #: Steps taken so far, and in all.
    step: Mapped[int] = mapped_column(default=0)
    steps: Mapped[int]
    #: File in the training's folder from which the next step goes on; None before the first.
    state_file: Mapped[LongTextOrNone]
    #: Share of the configured rates that is left: halved where a loss was not finite.
    rate_share: Mapped[float] = mapped_column(default=1.0)
    #: Whether the way back is computed twice, since memory ran out.
    saves_memory: Mapped[bool] = mapped_column(default=False)
    #: Segments claimed so far.
    segments: Mapped[int] = mapped_column(default=0)
    #: How often its worker went away while it ran, and how often a segment failed in a way that may pass, since one
    #: was last done.
    losses: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[Moment]
    #: Not to be published before this moment, after such a failure.
    not_before: Mapped[MomentOrNone]
    #: When a message was put on the queue for its next segment; None where none is there.
    published_at: Mapped[MomentOrNone]
    #: The boot that owns it while a segment runs.
    boot_id: Mapped[int | None] = mapped_column(ForeignKey("boots.id"))
    heartbeat_at: Mapped[MomentOrNone]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    finished_at: Mapped[MomentOrNone]
    cause: Mapped[str | None] = mapped_column(String(32))
    error: Mapped[LongTextOrNone]


class Segment(Base):
    """Steps of a training that a worker took at one go."""

    __tablename__ = "segments"
    __table_args__ = (UniqueConstraint("training_id", "number"),)

    id: Mapped[Key]
    training_id: Mapped[int] = mapped_column(ForeignKey("trainings.id"))
    boot_id: Mapped[int] = mapped_column(ForeignKey("boots.id"), index=True)
    #: 1 for the training's first.
    number: Mapped[int]
    #: Steps that were taken before it, and those before its end.
    begun_step: Mapped[int]
    ended_step: Mapped[int | None]
    outcome: Mapped[str] = mapped_column(String(16), default=Outcome.RUNNING)
    cause: Mapped[str | None] = mapped_column(String(32))
    error: Mapped[LongTextOrNone]
    started_at: Mapped[Moment]
    finished_at: Mapped[MomentOrNone]
    #: Until the first step: weights, pictures and state brought to the device; 0 where they were there.
    ready_s: Mapped[float | None]
    #: A step's seconds, those of the first since they were brought there left out, and pictures learnt from in one.
    step_s: Mapped[float | None]
    pictures_a_step: Mapped[int | None]
    #: Name of the LoRA that was saved at its end; None where none was.
    lora: Mapped[LongTextOrNone]
    #: Writing that and its state.
    save_s: Mapped[float | None]
    #: Means over its steps; of the held-out pictures at its end, with the same noise and times in each segment.
    loss: Mapped[float | None]
    held_out_loss: Mapped[float | None]
    #: Of the UNet's LoRA, in the last step.
    learning_rate: Mapped[float | None]
    rss_peak_bytes: Mapped[Bytes]
    device_allocated_peak_bytes: Mapped[Bytes]
    device_driver_peak_bytes: Mapped[Bytes]
