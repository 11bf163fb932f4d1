"""Replacing what was not accepted, where a batch has a target: the same prompt with another seed."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Select, exists, insert, select
from sqlalchemy.orm import Session, aliased

from models.records.batches import change_jobs, queued_again, spec_of
from models.records.tables import Batch, Job
from models.records.turns import present_turn
from models.types.causes import Cause, Trait
from models.types.clock import now
from models.types.job import derived_seeds
from models.types.states import FINISHED, JobState

_OF_THE_SEED = {cause for cause in Cause if Trait.LIES_IN_SEED in cause.traits}


def replace(session: Session, job_ids: Iterable[int]) -> list[int]:
    """Queue a replacement, not yet published, for each of these jobs that lacks one; return the replacements' numbers.

    A job has one if its batch has a target, the job was rejected or came to an end that lies in the seed, its picture
    has not been replaced as often as the batch allows, and nobody has cancelled the job or its batch. In the
    transaction that ends the job, so that neither is there without the other.
    """
    made: list[int] = []
    for job_id in job_ids:
        replacement = _replace(session, job_id, turns=len(made))
        if replacement is not None:
            made.append(replacement)
    return made


def _replace(session: Session, job_id: int, turns: int) -> int | None:
    """Queue a replacement, so many turns from now."""
    job = session.scalars(select(Job).where(Job.id == job_id).execution_options(populate_existing=True)).one()
    # Locked where the database has locks of rows: whoever cancels the batch waits for this transaction and finds what
    # it adds, or this one waits and finds the batch cancelled.
    locked = select(Batch).where(Batch.id == job.batch_id).with_for_update()
    batch = session.scalars(locked.execution_options(populate_existing=True)).one()
    if batch.cancelled_at is not None or job.cancel_requested or is_needless(session, job):
        return None
    faulty = job.state == JobState.REJECTED or (job.state == JobState.FAILED and job.cause in _OF_THE_SEED)
    if batch.target is None or not faulty:
        return None
    turn = {"turn": present_turn(job.queue, job.priority) + turns}
    if (chain := _stand_ins(session, job_id)) != []:
        # The last was taken back when a person accepted the picture, who now has thought better of it.
        again = change_jobs(
            session,
            Job.id == chain[-1],
            Job.state == JobState.CANCELLED,
            values=queued_again() | turn | {"state": JobState.QUEUED, "finished_at": None, "cause": None},
        )
        return chain[-1] if again else None
    if job.replacement >= batch.replacements:
        return None
    spec = spec_of(job).model_copy(update={"seed": _free_seed(session, job)})
    values = {
        "batch_id": job.batch_id,
        "source_line": job.source_line,
        "attributes": job.attributes,
        "queue": job.queue,
        "priority": job.priority,
        "replaces": job.id,
        "replacement": job.replacement + 1,
    }
    return session.scalar(insert(Job).values(spec.model_dump() | values | queued_again() | turn).returning(Job.id))


def _free_seed(session: Session, job: Job) -> int:
    """Return the first seed that follows from the job's and that its prompt does not have in its batch."""

    def is_taken(seed: int) -> bool:
        same = exists().where(Job.batch_id == job.batch_id, Job.seed == seed, Job.prompt == job.prompt)
        return bool(session.scalar(select(same)))

    return next(seed for seed in derived_seeds(job.seed, "replacement") if not is_taken(seed))


def take_back(session: Session, job_id: int) -> None:
    """Cancel what stands in for a job that was accepted after all, and for that, unless a worker has begun it."""
    change_jobs(
        session,
        Job.id.in_(_stand_ins(session, job_id)),
        Job.state == JobState.QUEUED,
        values={"state": JobState.CANCELLED, "cause": Cause.CANCELLED, "finished_at": now()},
    )


def is_needless(session: Session, job: Job) -> bool:
    """Tell whether what the job stands in for was accepted after all."""
    before: Job | None = job
    while before is not None and before.replaces is not None:
        before = session.get(Job, before.replaces)
        if before is not None and before.state == JobState.SUCCEEDED:
            return True
    return False


def _stand_ins(session: Session, job_id: int) -> list[int]:
    """Return the job that stands in for this one, the one that stands in for that, and so on."""
    chain: list[int] = []
    while (following := replacement_of(session, chain[-1] if chain else job_id)) is not None:
        chain.append(following)
    return chain


def replacement_of(session: Session, job_id: int) -> int | None:
    """Return the number of the job that stands in for this one, None if there is none."""
    return session.scalar(select(Job.id).where(Job.replaces == job_id))


def is_replaced() -> ColumnElement[bool]:
    """Return what holds for a job that another one stands in for."""
    other = aliased(Job)
    return select(other.id).where(other.replaces == Job.id, other.state != JobState.CANCELLED).exists()


def unreached_jobs(batch_id: int) -> Select[int]:
    """Return a query for the jobs of a batch that came to nothing, and that none stands in for."""
    ended = [state for state in FINISHED if state is not JobState.SUCCEEDED]
    # A replacement that was taken back stood in for a picture that a person has accepted.
    taken_back = Job.replaces.is_not(None) & (Job.state == JobState.CANCELLED)
    return (
        select(Job.id)
        .where(Job.batch_id == batch_id, Job.state.in_(ended), ~is_replaced(), ~taken_back)
        .order_by(Job.id)
    )
