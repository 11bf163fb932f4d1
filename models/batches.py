"""Writing and finding batches: create, publish marks, cancel, retry.

Rows come first: a batch and its jobs are committed before the first message leaves, so a crash or a
dead Redis in between leaves jobs that say "not published" and can be published later.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.causes import Cause
from models.clock import instant
from models.errors import BadInputError, NotFoundError
from models.job import JobSpec
from models.message import JobMessage
from models.states import FAULTY, FINISHED, JobState
from models.tables import Batch, Job, now

#: Rows a statement: bounds the memory of a large batch.
CHUNK = 1_000
#: The longest that a job waits for its next try.
LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True)
class PlannedJob:
    """A job before it has a row."""

    spec: JobSpec
    source_line: int | None = None


def fingerprint(jobs: Iterable[PlannedJob], asked_seeds: Sequence[int | None]) -> str:
    """Return a digest of what was asked for; seeds that were drawn rather than asked for do not count.

    `asked_seeds` runs beside `jobs`: the seed that the user gave, None where one was drawn.
    """
    digest = hashlib.sha256()
    for job, seed in zip(jobs, asked_seeds, strict=True):
        digest.update(job.spec.model_copy(update={"seed": seed if seed is not None else -1}).model_dump_json().encode())
    return digest.hexdigest()


def create_batch(
    session: Session, name: str, source: str, jobs: Sequence[PlannedJob], *, priority: int, digest: str
) -> Batch:
    """Insert a batch and its jobs, all queued and not yet published.

    Raises:
        BadInputError: if a batch of that name is there already.
    """
    moment, queued = now(), instant()
    batch = Batch(uid=uuid4().hex, name=name, source=source, fingerprint=digest, created_at=moment)
    session.add(batch)
    try:
        session.flush()
    except IntegrityError:
        raise BadInputError([f"--batch {name}: a batch of that name is there already; choose another name"]) from None
    for start in range(0, len(jobs), CHUNK):
        session.execute(
            insert(Job),
            [
                job.spec.model_dump()
                | {
                    "batch_id": batch.id,
                    "source_line": job.source_line,
                    "priority": priority,
                    "queued_at": moment,
                    "queued_s": queued.s,
                    "queued_clock": queued.clock,
                }
                for job in jobs[start : start + CHUNK]
            ],
        )
    return batch


def free_name(session: Session, stem: str) -> str:
    """Return the first of `stem-1`, `stem-2`, … that no batch has."""
    taken = set(session.scalars(select(Batch.name).where(Batch.name.startswith(f"{stem}-", autoescape=True))))
    number = 1
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"


def find_batch(session: Session, name: str | None) -> Batch:
    """Return the batch called `name`, or the newest one.

    Raises:
        NotFoundError: naming the newest batches there are.
    """
    query = select(Batch).order_by(Batch.id.desc()).limit(1)
    batch = session.scalar(query if name is None else query.where(Batch.name == name))
    if batch is not None:
        return batch
    names = list(session.scalars(select(Batch.name).order_by(Batch.id.desc()).limit(5)))
    if not names:
        raise NotFoundError("there is no batch yet: `producer enqueue --prompts FILE` makes one")
    raise NotFoundError(f"there is no batch {name!r}; the newest are {', '.join(names)}")


def find_job(session: Session, number: int) -> Job:
    """Return the job of that number.

    Raises:
        NotFoundError: if there is none.
    """
    job = session.get(Job, number)
    if job is None:
        raise NotFoundError(f"there is no job {number}; `producer status BATCH` and the log name jobs")
    return job


def find_unfinished(session: Session, digest: str) -> Batch | None:
    """Return the newest batch with this fingerprint that still has jobs to do."""
    return session.scalar(
        select(Batch)
        .where(Batch.fingerprint == digest)
        .where(select(Job.id).where(Job.batch_id == Batch.id, Job.state.not_in(FINISHED)).exists())
        .order_by(Batch.id.desc())
        .limit(1)
    )


def unpublished(
    session: Session,
    *,
    batch_id: int | None = None,
    jobs: Collection[int] | None = None,
    after: int = 0,
    limit: int = CHUNK,
) -> list[tuple[JobMessage, int]]:
    """Return up to `limit` messages, with their priority, of queued jobs that are not on the queue.

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
    return [(JobMessage(job=number, batch=uid), priority) for number, uid, priority in session.execute(query)]


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


def has_waiting(session: Session) -> bool:
    """Tell whether a queued job should have a message in the queue."""
    waiting = select(Job.id).where(Job.state == JobState.QUEUED, due())
    return session.scalar(waiting.limit(1)) is not None


def spec_of(job: Job) -> JobSpec:
    """Return what the row asks for."""
    return JobSpec.model_validate({name: getattr(job, name) for name in JobSpec.model_fields})


def mark_published(session: Session, job_ids: Sequence[int], moment: datetime) -> None:
    """Note that these jobs' messages are on the queue."""
    session.execute(update(Job).where(Job.id.in_(job_ids)).values(published_at=moment))


def unmark_published(session: Session, batch_id: int) -> int:
    """Forget that a batch's queued jobs were published, and return how many those are.

    For a queue that was emptied; a message that is still there is dropped when its job was claimed before.
    """
    return _changed(session, Job.batch_id == batch_id, Job.state == JobState.QUEUED, values={"published_at": None})


def forget_published(session: Session, limit: int) -> int:
    """Forget that the first queued jobs were published, and return how many those are; for a queue that is empty.

    The first are those of the highest priority.
    """
    lost = select(Job.id).where(Job.state == JobState.QUEUED, Job.published_at.is_not(None))
    first = lost.order_by(Job.priority, Job.id).limit(limit)
    return _changed(session, Job.id.in_(first), values={"published_at": None})


def cancel(session: Session, *scope: ColumnElement[bool]) -> tuple[int, int]:
    """Cancel the queued jobs in scope at once and ask for the running ones; return how many of each."""
    queued = _changed(
        session,
        Job.state == JobState.QUEUED,
        *scope,
        values={"state": JobState.CANCELLED, "finished_at": now(), "cause": Cause.CANCELLED},
    )
    running = _changed(session, Job.state == JobState.RUNNING, *scope, values={"cancel_requested": True})
    return queued, running


def retry(session: Session, *scope: ColumnElement[bool], states: Sequence[JobState] = FAULTY) -> int:
    """Put the failed and quarantined jobs in scope back on the queue, not yet published, and return how many."""
    queued = instant()
    return _changed(
        session,
        Job.state.in_(states),
        *scope,
        values={
            "state": JobState.QUEUED,
            "queued_at": now(),
            "queued_s": queued.s,
            "queued_clock": queued.clock,
            "published_at": None,
            "cancel_requested": False,
            "finished_at": None,
            "cause": None,
            "error": None,
            "losses": 0,
            "failures": 0,
            "not_before": None,
        },
    )


def _changed(session: Session, *where: ColumnElement[bool], values: dict[str, object]) -> int:
    result = session.execute(update(Job).where(*where).values(values).execution_options(synchronize_session=False))
    return TypeAdapter(int).validate_python(getattr(result, "rowcount", 0))
