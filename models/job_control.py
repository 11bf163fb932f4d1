"""What a person does to a batch or to one job: cancel it, try it again."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from models.batches import find_batch, find_job, queued_now
from models.causes import Cause
from models.job_updates import change_jobs
from models.replacements import is_replaced, replace
from models.states import FAULTY, JobState
from models.tables import Job, now


@dataclass(frozen=True)
class Scope:
    """The jobs of one batch, or one job, and what to call that."""

    name: str
    clause: ColumnElement[bool]


def batch_scope(session: Session, name: str | None) -> Scope:
    """Return the jobs of the batch called `name`, or of the newest one.

    Raises:
        NotFoundError: if there is none.
    """
    batch = find_batch(session, name)
    return Scope(batch.name, Job.batch_id == batch.id)


def job_scope(session: Session, job_id: int) -> Scope:
    """Return the one job of that number.

    Raises:
        NotFoundError: if there is none.
    """
    job = find_job(session, job_id)
    return Scope(f"job {job.id}", Job.id == job.id)


def cancel(session: Session, scope: Scope) -> tuple[int, int]:
    """Cancel the queued jobs in scope at once and ask for the running ones; return how many of each."""
    queued = change_jobs(
        session,
        Job.state == JobState.QUEUED,
        scope.clause,
        values={"state": JobState.CANCELLED, "finished_at": now(), "cause": Cause.CANCELLED},
    )
    running = change_jobs(session, Job.state == JobState.RUNNING, scope.clause, values={"cancel_requested": True})
    return queued, running


def retry(session: Session, scope: Scope, states: Sequence[JobState] = FAULTY) -> int:
    """Put the failed and quarantined jobs in scope back on the queue, not yet published, and return how many.

    Not those that another job stands in for.
    """
    return change_jobs(
        session,
        Job.state.in_(states),
        scope.clause,
        ~is_replaced(),
        values=queued_now()
        | {
            "state": JobState.QUEUED,
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


def replace_rejected(session: Session, scope: Scope) -> int:
    """Queue what stands in for rejected pictures in scope that lack it, and return how many; see `replace`."""
    rejected = select(Job.id).where(Job.state == JobState.REJECTED, scope.clause, ~is_replaced()).order_by(Job.id)
    return len(replace(session, session.scalars(rejected).all()))
