"""Which queued jobs are on the queue: read and mark it, and forget it where the queue lost them."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from models.records.batches import CHUNK, change_jobs
from models.records.tables import Batch, Job
from models.records.tables.columns import UtcDateTime
from models.records.turns import in_turn, is_published
from models.types.clock import now
from models.types.job import LOWEST_PRIORITY
from models.types.message import DEFAULT_QUEUE, QUEUE_NAME, JobMessage, what_is_invalid
from models.types.states import JobState

#: The longest that a job waits for its next try.
LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True)
class Unpublished:
    """A queued job that is not on the queue."""

    job_id: int
    #: None where its row, or its batch's, holds what no message may have.
    message: JobMessage | None
    queue: str
    priority: int
    #: Whether no worker has begun it yet.
    is_new: bool = True
    problem: str | None = None


_QUEUE = TypeAdapter(Annotated[str, Field(pattern=f"^{QUEUE_NAME}$")])
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
        select(Job.id, Batch.uid, Job.queue, Job.priority, Job.attempts)
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


def _unpublished(job_id: int, uid: str, queue: str, priority: int, attempts: int) -> Unpublished:
    try:
        message = JobMessage(job=job_id, batch=uid)
        queue, priority = _QUEUE.validate_python(queue, strict=True), _PRIORITY.validate_python(priority)
        return Unpublished(job_id, message, queue, priority, attempts == 0)
    except ValidationError as error:
        return Unpublished(job_id, None, DEFAULT_QUEUE, LOWEST_PRIORITY, problem=what_is_invalid(error))


def cancelled(session: Session, batch_id: int) -> dict[str, list[JobMessage]]:
    """Return the messages of jobs of a batch that were cancelled while a message was on the queue for them, by queue.

    Not of one that was cancelled while it ran: another message was used for it then, or its own.
    """
    query = (
        select(Job.queue, Job.id, Batch.uid)
        .join(Batch)
        .where(Job.batch_id == batch_id, Job.state == JobState.CANCELLED, Job.published_at.is_not(None))
    )
    found: defaultdict[str, list[JobMessage]] = defaultdict(list)
    for queue, job_id, uid in session.execute(query):
        try:
            found[_QUEUE.validate_python(queue, strict=True)].append(JobMessage(job=job_id, batch=uid))
        except ValidationError:
            # A row that somebody spoiled; where its message is, a worker drops it.
            continue
    return found


def due() -> ColumnElement[bool]:
    """Return what holds for a job that does not wait for its next try."""
    # When it is asked, and not when the statement is built.
    moment = bindparam("due_at", type_=UtcDateTime, callable_=now)
    # A clock that was set back must not make a job wait for as long.
    latest = bindparam("due_latest", type_=UtcDateTime, callable_=lambda: now() + LONGEST_WAIT)
    return or_(Job.not_before.is_(None), Job.not_before <= moment, Job.not_before > latest)


def due_retries(session: Session, limit: int = CHUNK) -> Sequence[int]:
    """Return up to `limit` numbers of jobs that waited for their next try and can be published now."""
    waited = Job.not_before.is_not(None)
    query = select(Job.id).where(Job.state == JobState.QUEUED, Job.published_at.is_(None), waited, due())
    return session.scalars(query.order_by(Job.id).limit(limit)).all()


def published_queues(session: Session) -> set[str]:
    """Return the queues of queued jobs that a message should be there for."""
    return {queue for queue in _places_of_published(session) if _is_name(queue)}


def published_nowhere(session: Session, limit: int = CHUNK) -> Sequence[int]:
    """Return up to `limit` numbers of such jobs in whose row the queue's name is none, so that no worker finds them."""
    nowhere = [place for place in _places_of_published(session) if not _is_name(place)]
    if not nowhere:
        return []
    return session.scalars(select(Job.id).where(is_published(), Job.queue.in_(nowhere)).limit(limit)).all()


def _places_of_published(session: Session) -> Sequence[str]:
    return session.scalars(select(Job.queue).where(is_published()).distinct()).all()


def _is_name(queue: str) -> bool:
    try:
        _QUEUE.validate_python(queue, strict=True)
    except ValidationError:
        return False
    return True


def count_published(session: Session, queue: str) -> int:
    """Return how many queued jobs there are that a message should be on the queue for."""
    query = select(func.count()).select_from(Job).where(is_published(), Job.queue == queue)
    return session.scalar(query) or 0


def last_published(session: Session, queue: str, count: int) -> Sequence[int]:
    """Return the numbers of so many of a queue's jobs of these, the ones whose turn comes last."""
    order = (column.desc() for column in (Job.priority, *in_turn()))
    query = select(Job.id).where(is_published(), Job.queue == queue)
    return session.scalars(query.order_by(*order).limit(count)).all()


def batch_uids(session: Session) -> set[str]:
    """Return the uids of all batches, by which messages of this database are known."""
    return set(session.scalars(select(Batch.uid)))


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
    """Note that messages of these jobs are on the queue; not of one that a worker has begun by then."""
    session.execute(update(Job).where(Job.id.in_(job_ids), Job.state == JobState.QUEUED).values(published_at=moment))


def forget_published(session: Session, batch_id: int | None = None, jobs: Collection[int] | None = None) -> int:
    """Forget that queued jobs were published, and return how many those are; for what the queue has lost.

    `batch_id` limits it to one batch, `jobs` to these. A message more than there are jobs is dropped.
    """
    lost = [Job.state == JobState.QUEUED, Job.published_at.is_not(None)]
    if batch_id is not None:
        lost.append(Job.batch_id == batch_id)
    if jobs is None:
        return change_jobs(session, *lost, values={"published_at": None})
    numbers = sorted(jobs)
    chunks = (numbers[start : start + CHUNK] for start in range(0, len(numbers), CHUNK))
    return sum(change_jobs(session, *lost, Job.id.in_(chunk), values={"published_at": None}) for chunk in chunks)
