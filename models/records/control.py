"""What a person does to what is on the queue: cancel a batch or a job, try it again, pause all and go on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.orm import Session

from models.records.batches import change_jobs, find_batch, find_job, queued_now
from models.records.judging.replacements import is_needless, is_replaced, replace
from models.records.tables import Batch, Job, Pause
from models.records.turns import present_turn
from models.types.causes import Cause
from models.types.clock import now
from models.types.states import FAULTY, JobState


@dataclass(frozen=True)
class Scope:
    """The jobs of one batch, or one job, and what to call that."""

    name: str
    clause: ColumnElement[bool]
    #: The batch, where the scope is all of it.
    batch_id: int | None = None


def batch_scope(session: Session, name: str | None) -> Scope:
    """Return the jobs of the batch called `name`, or of the newest one.

    Raises:
        NotFoundError: if there is none.
    """
    batch = find_batch(session, name)
    return Scope(batch.name, Job.batch_id == batch.id, batch.id)


def job_scope(session: Session, job_id: int) -> Scope:
    """Return the one job of that number.

    Raises:
        NotFoundError: if there is none.
    """
    job = find_job(session, job_id)
    return Scope(f"job {job.id}", Job.id == job.id)


def cancel(session: Session, scope: Scope) -> tuple[int, int]:
    """Cancel the queued jobs in scope at once and ask for the running ones; return how many of each.

    A batch that is cancelled begins nothing more, whatever becomes of the jobs that run.
    """
    queued, running = _cancel_jobs(session, scope)
    if scope.batch_id is not None:
        _note_cancelled(session, scope.batch_id, now())
        # What was added to the batch before it was marked, by a transaction that this one has waited for.
        added, _ = _cancel_jobs(session, scope)
        queued += added
    return queued, running


def _cancel_jobs(session: Session, scope: Scope) -> tuple[int, int]:
    # One statement for both: a job that a worker puts back between two would be missed by either.
    is_queued = Job.state == JobState.QUEUED
    changed = session.scalars(
        update(Job)
        .where(Job.state.in_((JobState.QUEUED, JobState.RUNNING)), scope.clause)
        .values(
            state=case((is_queued, JobState.CANCELLED), else_=Job.state),
            finished_at=case((is_queued, now()), else_=Job.finished_at),
            cause=case((is_queued, Cause.CANCELLED), else_=Job.cause),
            cancel_requested=~is_queued,
        )
        .returning(Job.state)
        .execution_options(synchronize_session=False)
    ).all()
    return changed.count(JobState.CANCELLED), changed.count(JobState.RUNNING)


def _note_cancelled(session: Session, batch_id: int, at: datetime | None) -> None:
    session.execute(update(Batch).where(Batch.id == batch_id).values(cancelled_at=at))


def retry(session: Session, scope: Scope, states: Sequence[JobState] = FAULTY) -> int:
    """Put the failed and quarantined jobs in scope back on the queue, not yet published, and return how many.

    Not those that another job stands in for, nor those that stand in for an accepted picture. A cancelled batch is one
    no longer.
    """
    if scope.batch_id is not None:
        _note_cancelled(session, scope.batch_id, None)
    stand_ins = select(Job).where(Job.state.in_(states), scope.clause, Job.replaces.is_not(None))
    # As far from each other as they were, so that the others have their turns between.
    first = session.scalar(select(func.min(Job.turn)).where(Job.state.in_(states), scope.clause)) or 0
    needless = [job.id for job in session.scalars(stand_ins) if is_needless(session, job)]
    return change_jobs(
        session,
        Job.state.in_(states),
        scope.clause,
        ~is_replaced(),
        Job.id.not_in(needless),
        values=queued_now()
        | {
            "state": JobState.QUEUED,
            "published_at": None,
            "turn": present_turn(Job.queue, Job.priority) + Job.turn - first,
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


def pause(session: Session) -> bool:
    """Pause the queue; False if it is paused already."""
    if paused_since(session) is not None:
        return False
    session.add(Pause(paused_at=now()))
    return True


def resume(session: Session) -> bool:
    """Let the queue go on; False if it is not paused."""
    if paused_since(session) is None:
        return False
    session.execute(update(Pause).where(Pause.resumed_at.is_(None)).values(resumed_at=now()))
    return True


def paused_since(session: Session) -> datetime | None:
    """Return since when the queue is paused, None if it is not."""
    return session.scalar(select(Pause.paused_at).where(Pause.resumed_at.is_(None)).order_by(Pause.id).limit(1))
