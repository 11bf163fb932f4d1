"""What a person does to a batch or to one job: cancel it, try it again."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from models.batches import find_batch, find_job
from models.causes import Cause
from models.clock import instant
from models.job_updates import change_jobs
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
    """Put the failed and quarantined jobs in scope back on the queue, not yet published, and return how many."""
    queued = instant()
    return change_jobs(
        session,
        Job.state.in_(states),
        scope.clause,
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
