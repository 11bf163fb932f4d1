"""What is asked for: batches and jobs, what was found of their pictures, and pauses."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.records.tables.columns import (
    Base,
    ClockName,
    Json,
    Key,
    LongText,
    LongTextOrNone,
    Moment,
    MomentOrNone,
    Word,
)
from models.types.message import DEFAULT_QUEUE
from models.types.presets import EXACT
from models.types.states import JobState

_PUBLISHED = text("published_at IS NOT NULL AND finished_at IS NULL")


class Batch(Base):
    """The jobs of one `enqueue`."""

    __tablename__ = "batches"

    id: Mapped[Key]
    uid: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    #: Digest of everything that was asked for: the same command again finds its unfinished batch by it.
    fingerprint: Mapped[str] = mapped_column(String(64), index=True)
    source: Mapped[LongText]
    #: The limits of each check by which its pictures are judged; None where they are not.
    checks: Mapped[dict[str, dict[str, Any]] | None] = mapped_column(Json)
    #: How many pictures are to be accepted; None where each job is made once, whatever becomes of it.
    target: Mapped[int | None]
    #: How often one picture that is asked for is made again with another seed, at most.
    replacements: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[Moment]
    #: When a person cancelled it: nothing of it begins from then on. None where nobody has, or it was queued again.
    cancelled_at: Mapped[MomentOrNone]


class Job(Base):
    """One requested picture."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_batch_id_state", "batch_id", "state"),
        # A replacement looks for a seed that its batch does not have, in a transaction that every worker waits for.
        Index("ix_jobs_batch_id_seed", "batch_id", "seed"),
        Index("ix_jobs_state_published_at", "state", "published_at"),
        # A claim takes the first entry of these, however many there are: see `models.records.turns`.
        Index(
            "ix_jobs_published",
            "queue",
            "priority",
            "turn",
            "published_at",
            "id",
            sqlite_where=_PUBLISHED,
            postgresql_where=_PUBLISHED,
        ),
    )

    id: Mapped[Key]
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"))
    #: Line of the prompts file, None for a prompt from the command line.
    source_line: Mapped[int | None]
    #: What a template chose for it, by the choices' names: {"colour": "black"}.
    attributes: Mapped[dict[str, str] | None] = mapped_column(Json)
    prompt: Mapped[LongText]
    negative_prompt: Mapped[LongText]
    seed: Mapped[int] = mapped_column(BigInteger)
    steps: Mapped[int]
    guidance: Mapped[float]
    width: Mapped[int]
    height: Mapped[int]
    scheduler: Mapped[Word]
    checkpoint: Mapped[LongText]
    #: As `models.types.lora` lists them.
    lora: Mapped[LongText] = mapped_column(default="", server_default=text("''"))
    #: By which scheduler and steps were settled.
    preset: Mapped[Word] = mapped_column(default=EXACT, server_default=EXACT)
    #: Which workers may make it: those that take jobs from the queue of that name.
    queue: Mapped[str] = mapped_column(String(64), default=DEFAULT_QUEUE, server_default=text(f"'{DEFAULT_QUEUE}'"))
    priority: Mapped[int]
    #: Among the jobs of its queue and priority; the lowest goes first.
    turn: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    state: Mapped[str] = mapped_column(String(16), default=JobState.QUEUED)
    #: Attempts claimed so far.
    attempts: Mapped[int] = mapped_column(default=0)
    #: How often its worker went away while it ran, since it was queued by a person.
    losses: Mapped[int] = mapped_column(default=0, server_default="0")
    #: How often it failed in a way that may pass, since it was queued by a person.
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    queued_at: Mapped[Moment]
    #: The same moment on the clock called `queued_clock`.
    queued_s: Mapped[float | None]
    queued_clock: Mapped[ClockName]
    #: Not to be published before this moment, after such a failure.
    not_before: Mapped[MomentOrNone]
    #: When a message was put on the queue for it; None where none is there: not published yet, or begun.
    published_at: Mapped[MomentOrNone]
    #: The boot that owns the job while it runs.
    boot_id: Mapped[int | None] = mapped_column(ForeignKey("boots.id"), index=True)
    heartbeat_at: Mapped[MomentOrNone]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    finished_at: Mapped[MomentOrNone]
    #: Short word under which failures are counted, and the line that says what happened.
    cause: Mapped[str | None] = mapped_column(String(32))
    error: Mapped[LongTextOrNone]
    #: Path below the data folder; None before it is made, and once it is removed.
    picture: Mapped[LongTextOrNone]
    #: The job whose picture was not accepted, and which this one stands in for; no job has two such.
    replaces: Mapped[int | None] = mapped_column(index=True, unique=True)
    #: The how manieth replacement of one that was asked for, which is 0.
    replacement: Mapped[int] = mapped_column(default=0, server_default="0")
    #: What a person decided of the picture, whatever the checks say; None where nobody did.
    accepted_by_person: Mapped[bool | None]
    #: When an export last had the picture; None where none has.
    exported_at: Mapped[MomentOrNone]


class Verdict(Base):
    """What one check found of a job's picture."""

    __tablename__ = "verdicts"
    __table_args__ = (UniqueConstraint("job_id", "check"),)

    id: Mapped[Key]
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"))
    check: Mapped[str] = mapped_column(String(32))
    #: In the unit that the check says; None where there was nothing to measure.
    figure: Mapped[float | None]
    passed: Mapped[bool]
    #: What was seen and where the limit is, for people.
    sentence: Mapped[LongText]
    judged_at: Mapped[Moment]


class Likeness(Base):
    """What a picture that passed its own checks is compared with later ones by."""

    __tablename__ = "likenesses"

    id: Mapped[Key]
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), unique=True)
    #: As `checks.duplicates` writes it.
    content: Mapped[bytes] = mapped_column(LargeBinary)


class Pause(Base):
    """A time in which no worker begins a job, because a person said so."""

    __tablename__ = "pauses"

    id: Mapped[Key]
    paused_at: Mapped[Moment]
    #: None while it lasts.
    resumed_at: Mapped[MomentOrNone]
