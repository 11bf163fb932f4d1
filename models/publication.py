"""Which queued jobs are on the queue: read and mark it, and forget it where the queue lost them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from models.batches import CHUNK
from models.job import LOWEST_PRIORITY
from models.job_updates import change_jobs
from models.message import JobMessage, what_is_invalid
from models.states import JobState
from models.tables import Batch, Job, now

#: The longest that a job waits for its next try.
LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True)
class Unpublished:
    """A queued job that is not on the queue."""

    job_id: int
    #: None where its row, or its batch's, holds what no message may have.
    message: JobMessage | None
    priority: int
    problem: str | None = None


_PRIORITY = TypeAdapter(Annotated[int, Field(ge=0, le=LOWEST_PRIORITY, strict=True)])


def unpublished(
    session: Session,
    *,
    batch_id: int | None = None,
    jobs: Collection[int] | None = None,
    after: int = 0,
    limit: int = CHUNK,
) -> list[Unpublished]:
    """Return up to `limit` queued jobs that are not on the queue.

    They come in order of job number, beginning after job `after`. Jobs that failed and wait for their next try are left
    out until it is time. `batch_id` limits it to one batch, `jobs` to these.
    """
    query = (
        select(Job.id, Batch.uid, Job.priority)
        .join(Batch)
        .where(Job.state == JobState.QUEUED, Job.published_at.is_(None), Job.id > after, due())
        .order_by(Job.id)
        .limit(limit)
    )
    if batch_id is not None:
        query = query.where(Job.batch_id == batch_id)
    if jobs is not None:
        query = query.where(Job.id.in_(jobs))
    return [_unpublished(*row) for row in session.execute(query)]


def _unpublished(job_id: int, uid: str, priority: int) -> Unpublished:
    try:
        return Unpublished(job_id, JobMessage(job=job_id, batch=uid), _PRIORITY.validate_python(priority))
    except ValidationError as error:
        return Unpublished(job_id, None, LOWEST_PRIORITY, what_is_invalid(error))


def cancelled(session: Session, batch_id: int) -> list[JobMessage]:
    """Return the messages of a batch's cancelled jobs, which may still be on the queue."""
    query = select(Job.id, Batch.uid).join(Batch).where(Job.batch_id == batch_id, Job.state == JobState.CANCELLED)
    return [JobMessage(job=job_id, batch=uid) for job_id, uid in session.execute(query)]


def due() -> ColumnElement[bool]:
    """Return what holds for a job that does not wait for its next try."""
    # A clock that was set back must not make a job wait for as long.
    moment = now()
    return or_(Job.not_before.is_(None), Job.not_before <= moment, Job.not_before > moment + LONGEST_WAIT)


def due_retries(session: Session, limit: int = CHUNK) -> Sequence[int]:
    """Return up to `limit` numbers of jobs that waited for their next try and can be published now."""
    waited = Job.not_before.is_not(None)
    query = select(Job.id).where(Job.state == JobState.QUEUED, Job.published_at.is_(None), waited, due())
    return session.scalars(query.order_by(Job.id).limit(limit)).all()


def published_jobs(session: Session, limit: int | None = None) -> list[tuple[int, str]]:
    """Return the queued jobs, each with its batch's uid, whose messages should be on the queue, in their order there.

    `limit` makes it so many at most.
    """
    query = (
        select(Job.id, Batch.uid)
        .join(Batch)
        .where(Job.state == JobState.QUEUED, Job.published_at.is_not(None))
        .order_by(Job.priority, Job.id)
        .limit(limit)
    )
    return [(job_id, uid) for job_id, uid in session.execute(query)]


def first_unpublished(session: Session) -> list[tuple[int, int]]:
    """Return the batches with queued jobs that could be on the queue and are not, each with the first of those.

    While somebody publishes them, that one changes.
    """
    query = (
        select(Job.batch_id, func.min(Job.id))
        .where(Job.state == JobState.QUEUED, Job.published_at.is_(None), due())
        .group_by(Job.batch_id)
    )
    return [(batch_id, job_id) for batch_id, job_id in session.execute(query)]


def mark_published(session: Session, job_ids: Sequence[int], moment: datetime) -> None:
    """Note that these jobs' messages are on the queue."""
    session.execute(update(Job).where(Job.id.in_(job_ids)).values(published_at=moment))


def forget_published(session: Session, batch_id: int | None = None, jobs: Collection[int] | None = None) -> int:
    """Forget that queued jobs were published, and return how many those are; for what the queue has lost.

    `batch_id` limits it to one batch, `jobs` to these. A message that is still there is dropped when its job was
    claimed before.
    """
    lost = [Job.state == JobState.QUEUED, Job.published_at.is_not(None)]
    if batch_id is not None:
        lost.append(Job.batch_id == batch_id)
    if jobs is None:
        return change_jobs(session, *lost, values={"published_at": None})
    numbers = sorted(jobs)
    chunks = (numbers[start : start + CHUNK] for start in range(0, len(numbers), CHUNK))
    return sum(change_jobs(session, *lost, Job.id.in_(chunk), values={"published_at": None}) for chunk in chunks)
