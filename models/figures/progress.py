"""Reading how far batches are: counts by state, failures, what runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.pictures.store import PictureStore
from models.records.batches import KnownBatch
from models.records.control import paused_since
from models.records.publication import due
from models.records.tables import Attempt, Batch, Job, Training
from models.records.turns import is_published
from models.types.states import FAULTY, FINISHED, MADE, JobState, Outcome


@dataclass(frozen=True)
class BatchProgress:
    """How many jobs of a batch stand in each state."""

    name: str
    created_at: datetime
    counts: dict[JobState, int]
    #: Queued jobs that should be on the queue and are not.
    unpublished: int
    #: How many pictures are to be accepted; None where each job is made once, whatever becomes of it.
    target: int | None = None
    #: How often one picture is replaced at most.
    replacements: int = 0

    @property
    def total(self) -> int:
        """All jobs of the batch."""
        return sum(self.counts.values())

    @property
    def finished(self) -> int:
        """Jobs that need nothing more."""
        return sum(self.counts[state] for state in FINISHED)

    @property
    def faulty(self) -> int:
        """Jobs that failed or are quarantined."""
        return sum(self.counts[state] for state in FAULTY)

    @property
    def remaining(self) -> int:
        """Jobs that are queued or running."""
        return self.total - self.finished

    @property
    def accepted(self) -> int:
        """Pictures that are there, and that nothing is against."""
        return self.counts[JobState.SUCCEEDED]

    @property
    def made(self) -> int:
        """Pictures that are there, rejected ones too."""
        return sum(self.counts[state] for state in MADE)

    @property
    def done(self) -> tuple[int, int]:
        """How much is done, and of how much: accepted pictures of a target, finished jobs where there is none."""
        return (self.finished, self.total) if self.target is None else (self.accepted, self.target)

    @property
    def is_short(self) -> bool:
        """Whether something that was asked for has come to nothing."""
        if self.target is None:
            return self.faulty > 0
        return self.remaining == 0 and self.accepted < self.target

    def per_hour(self, picture_s: float | None) -> float | None:
        """Return how many accepted pictures come an hour where one takes so many seconds, waits included."""
        return 3600 / picture_s * self.accepted / self.made if picture_s and self.made else None

    @property
    def to_make(self) -> float:
        """Pictures that are expected to be made yet: some of them will be rejected, as some were before."""
        if self.target is None or not self.made:
            return self.remaining
        share, tries = self.accepted / self.made, 1 + self.replacements
        # The mean number of tries until the first that is accepted, of so many at most.
        return self.remaining * ((1 - (1 - share) ** tries) / share if share else tries)


@dataclass(frozen=True)
class Failure:
    """A job that failed or is quarantined, with the line that says why."""

    job_id: int
    source_line: int | None
    cause: str
    error: str


def batch_progress(session: Session, batch: KnownBatch) -> BatchProgress:
    """Return the batch's counts."""
    counts = dict.fromkeys(JobState, 0)
    rows = session.execute(select(Job.state, func.count()).where(Job.batch_id == batch.id).group_by(Job.state))
    counts |= {JobState(state): count for state, count in rows}
    waiting = session.scalar(
        select(func.count()).where(
            Job.batch_id == batch.id, Job.state == JobState.QUEUED, Job.published_at.is_(None), due()
        )
    )
    return BatchProgress(batch.name, batch.created_at, counts, waiting or 0, batch.target, batch.replacements)


def has_work(session: Session, boot_id: int, queues: Sequence[str], place: str) -> bool:
    """Tell whether there is something to do for this boot: its own, or what waits on its queues while they go on.

    Of trainings those alone whose files lie in the data folder called `place`: it can do nothing for the others.
    """
    # One by one, each by an index of its own: as one condition it would read all that waits on other queues.
    published = select(Job.id).where(is_published(), Job.queue.in_(queues))
    not_yet = select(Job.id).where(Job.state == JobState.QUEUED, Job.published_at.is_(None), Job.queue.in_(queues))
    runs = select(Job.id).where(Job.state == JobState.RUNNING, Job.boot_id == boot_id).limit(1)
    trains = select(Training.id).where(Training.state == JobState.RUNNING, Training.boot_id == boot_id).limit(1)
    if any(session.scalar(own) is not None for own in (runs, trains)):
        return True
    if paused_since(session) is not None:
        return False
    to_train = select(Training.id).where(
        Training.state == JobState.QUEUED, Training.queue.in_(queues), Training.place == place
    )
    return any(session.scalar(waits.limit(1)) is not None for waits in (published, not_yet, to_train))


def missing_pictures(session: Session, batch_id: int, pictures: PictureStore) -> int:
    """Return how many of the batch's accepted pictures are no longer where they were put, removed ones left out."""
    made = select(Job.picture).where(
        Job.batch_id == batch_id, Job.state == JobState.SUCCEEDED, Job.picture.is_not(None)
    )
    there = pictures.names(batch_id)
    return sum(picture not in there for picture in session.scalars(made))


def waiting_jobs(session: Session) -> dict[tuple[str, int], int]:
    """Return how many jobs wait, by their queue and priority."""
    return _waiting(session, Job)


def waiting_trainings(session: Session) -> dict[tuple[str, int], int]:
    """Return the same of trainings."""
    return _waiting(session, Training)


def _waiting(session: Session, of: type[Job] | type[Training]) -> dict[tuple[str, int], int]:
    place = of.queue, of.priority
    query = select(*place, func.count()).where(of.state == JobState.QUEUED).group_by(*place).order_by(*place)
    return {(queue, priority): count for queue, priority, count in session.execute(query)}


def count_jobs(session: Session) -> int:
    """Return how many jobs there are in all."""
    return session.scalar(select(func.count()).select_from(Job)) or 0


def newest_batches(session: Session, limit: int) -> Sequence[KnownBatch]:
    """Return the newest batches, newest first."""
    return [KnownBatch.of(row) for row in session.scalars(select(Batch).order_by(Batch.id.desc()).limit(limit))]


def failures(session: Session, batch_id: int, limit: int) -> list[Failure]:
    """Return the batch's first failed jobs."""
    query = select(Job).where(Job.batch_id == batch_id, Job.state.in_(FAULTY)).order_by(Job.id).limit(limit)
    return [Failure(job.id, job.source_line, job.cause or "unknown", job.error or "") for job in session.scalars(query)]


def failures_by_cause(session: Session, batch_id: int | None) -> dict[str, int]:
    """Return how many jobs failed of each cause, most first."""
    query = (
        select(func.coalesce(Job.cause, "unknown"), func.count())
        .where(Job.state.in_(FAULTY))
        .group_by(Job.cause)
        .order_by(func.count().desc())
    )
    if batch_id is not None:
        query = query.where(Job.batch_id == batch_id)
    return dict(session.execute(query).all())


def recent_speed(session: Session, batch_id: int, window: int = 20) -> float | None:
    """Return seconds a picture over the batch's last successes, waits included; None before there are two."""
    # By number and not by time: the index has them in that order, and it is about the order of making.
    jobs = session.scalars(
        select(Job.id).where(Job.batch_id == batch_id, Job.state.in_(MADE)).order_by(Job.id.desc()).limit(window)
    ).all()
    # Asked for the outcome too, SQLite goes through all attempts that have it instead of those of these jobs.
    attempts = session.execute(
        select(Attempt.finished_s, Attempt.boot_id, Attempt.outcome)
        .where(Attempt.job_id.in_(jobs))
        .order_by(Attempt.job_id.desc())
    )
    newest = [row for row in attempts if row.outcome == Outcome.SUCCEEDED and row.finished_s is not None]
    # A night between two boots is no part of the pace.
    finished = [row.finished_s for row in newest if row.boot_id == newest[0].boot_id]
    if len(finished) < 2:
        return None
    span: float = max(finished) - min(finished)
    return span / (len(finished) - 1)


def lost_attempts(session: Session, batch_id: int | None) -> int:
    """Return how many attempts ended without settling."""
    query = select(func.count()).select_from(Attempt).where(Attempt.outcome == Outcome.LOST)
    if batch_id is not None:
        query = query.where(Attempt.batch_id == batch_id)
    return session.scalar(query) or 0


def is_judged(batch: KnownBatch, progress: BatchProgress) -> bool:
    """Tell whether pictures of the batch are accepted or not, rather than only made."""
    return bool(batch.checks) or batch.target is not None or progress.counts[JobState.REJECTED] > 0
