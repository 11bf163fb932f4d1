"""Claiming and settling: each changes a job only if it is still what the caller believes it to be."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, case, false, insert, literal, or_, select, tuple_, update
from sqlalchemy.orm import Session

from models.batches import spec_of
from models.clock import Instant, instant
from models.job import JobSpec
from models.measurement import Measurement
from models.message import JobMessage
from models.states import JobState, Outcome
from models.tables import Attempt, Batch, Boot, Job, now, seconds_since


@dataclass(frozen=True)
class Claim:
    """A worker's right to one attempt; it holds as long as job, boot and number match the row."""

    job_id: int
    batch_id: int
    batch_name: str
    attempt_id: int
    number: int
    boot_id: int
    spec: JobSpec
    queue_wait_s: float | None
    started_at: datetime
    #: How often the job failed before in a way that may pass.
    failures: int


@dataclass(frozen=True)
class Ended:
    """When an attempt ended, by the time of day and by the clock of its boot."""

    at: datetime
    s: float | None

    @classmethod
    def now(cls) -> "Ended":
        """This moment."""
        return cls(now(), instant().s)


def claim(session: Session, message: JobMessage, boot_id: int) -> Claim | None:
    """Turn a delivery into an attempt, counted before it starts; None if the job is not there to be had.

    What runs is what the row says; the message only names it.

    Raises:
        ValidationError: if the row holds what no job may have; `refuse` fails such a job.
    """
    moment = now()
    batch_id = select(Batch.id).where(Batch.uid == message.batch).scalar_subquery()
    job = session.scalar(
        update(Job)
        .where(Job.id == message.job, Job.batch_id == batch_id, Job.state == JobState.QUEUED)
        .values(
            state=JobState.RUNNING,
            attempts=Job.attempts + 1,
            boot_id=boot_id,
            heartbeat_at=moment,
            not_before=None,
            cancel_requested=False,
        )
        .returning(Job)
    )
    if job is None:
        return None
    queue_wait_s = seconds_since(job.queued_at, Instant(job.queued_s, job.queued_clock))
    attempt_id = session.scalar(
        insert(Attempt)
        .values(
            job_id=job.id,
            batch_id=job.batch_id,
            boot_id=boot_id,
            number=job.attempts,
            started_at=moment,
            started_s=instant().s,
            queue_wait_s=queue_wait_s,
        )
        .returning(Attempt.id)
    )
    batch_name = session.scalar(select(Batch.name).where(Batch.id == job.batch_id))
    assert attempt_id is not None
    assert batch_name is not None
    return Claim(
        job.id,
        job.batch_id,
        batch_name,
        attempt_id,
        job.attempts,
        boot_id,
        spec_of(job),
        queue_wait_s,
        moment,
        job.failures,
    )


def refuse(session: Session, message: JobMessage, error: str) -> None:
    """Fail a queued job whose row holds what no job may have; it was changed by hand."""
    session.execute(
        update(Job)
        .where(Job.id == message.job, Job.state == JobState.QUEUED)
        .values(state=JobState.FAILED, cause="invalid", error=error, finished_at=now())
        .execution_options(synchronize_session=False)
    )


def settle(
    session: Session,
    claim: Claim,
    outcome: Outcome,
    measured: Measurement,
    *,
    load_id: int | None,
    picture: str | None = None,
    cause: str | None = None,
    error: str | None = None,
    ended: Ended | None = None,
) -> bool:
    """Write an attempt's measurements and its job's state; False if the job is no longer this claim's.

    `ended` says when the attempt ended, if that was not just now.
    """
    ended = ended or Ended.now()
    state = {
        Outcome.SUCCEEDED: JobState.SUCCEEDED,
        Outcome.FAILED: JobState.FAILED,
        Outcome.CANCELLED: JobState.CANCELLED,
    }[outcome]
    if not _update_if_owned(
        session,
        claim,
        state=state,
        finished_at=ended.at,
        picture=picture,
        cause=cause,
        error=error,
        cancel_requested=False,
    ):
        return False
    values = {"outcome": outcome, "cause": cause, "error": error, "load_id": load_id, **measured.columns()}
    _end_attempt(session, claim, ended, **values)
    return True


def postpone(
    session: Session, claim: Claim, wait_s: float, measured: Measurement, *, load_id: int | None, cause: str, error: str
) -> bool:
    """Write a failed attempt and queue its job again, not to be published for `wait_s` seconds.

    False if the job is no longer this claim's.
    """
    moment = now()
    later = {"failures": Job.failures + 1, "not_before": moment + timedelta(seconds=wait_s)}
    if not _update_if_owned(session, claim, **_put_back(moment) | later):
        return False
    values = {"outcome": Outcome.FAILED, "cause": cause, "error": error, "load_id": load_id, **measured.columns()}
    _end_attempt(session, claim, Ended.now(), **values)
    return True


def give_back(session: Session, claim: Claim, cause: str, error: str) -> bool:
    """Put a claimed job back on the queue, to be published again; its attempt counts as lost."""
    moment = now()
    if not _update_if_owned(session, claim, **_put_back(moment)):
        return False
    _end_attempt(session, claim, Ended.now(), outcome=Outcome.LOST, cause=cause, error=error)
    return True


def lose(session: Session, claim: Claim, cause: str, error: str, quarantine_after: int) -> JobState | None:
    """Put a claimed job back whose worker is about to end because of it, or set it aside the `quarantine_after`th time.

    Returns where the job stands then; None if it is no longer this claim's.
    """
    moment = now()
    losses = Job.losses + 1
    if not _update_if_owned(session, claim, losses=losses, **_put_back(moment, losses >= quarantine_after)):
        return None
    _end_attempt(session, claim, Ended.now(), outcome=Outcome.LOST, cause=cause, error=error)
    return JobState(session.scalars(select(Job.state).where(Job.id == claim.job_id)).one())


def renew(session: Session, claim: Claim) -> bool | None:
    """Give a sign of life; return whether cancelling was asked for, None if the job is no longer this claim's."""
    if not _update_if_owned(session, claim, heartbeat_at=now()):
        return None
    return session.scalar(select(Job.cancel_requested).where(Job.id == claim.job_id))


@dataclass(frozen=True)
class Rescued:
    """Numbers of the jobs that were put back, and of those that were set aside."""

    queued: list[int]
    quarantined: list[int]


def rescue(session: Session, boot_id: int, quarantine_after: int) -> Rescued:
    """Put back every running job of earlier boots under this boot's lock.

    Only the holder of the device's lock may call it: the lock says that those boots are gone. A job whose worker went
    away for the `quarantine_after`th time is set aside instead.
    """
    return _rescued(session, Job.boot_id.in_(_earlier_boots(boot_id)), quarantine_after)


def left_running(session: Session, boot_id: int) -> set[int]:
    """Return the numbers of the attempts that `rescue` would end."""
    return set(
        session.scalars(
            select(Attempt.id).where(Attempt.outcome == Outcome.RUNNING, Attempt.boot_id.in_(_earlier_boots(boot_id)))
        )
    )


def _earlier_boots(boot_id: int) -> Select[int]:
    here = select(Boot.lock_uid, Boot.host, Boot.device).where(Boot.id == boot_id).subquery()
    # Rows of a version that did not name the lock are known by host and device.
    unnamed = and_(Boot.lock_uid.is_(None), Boot.host == here.c.host, Boot.device == here.c.device)
    return select(Boot.id).where(Boot.id != boot_id, or_(unnamed, Boot.lock_uid == here.c.lock_uid))


@dataclass(frozen=True)
class RunningJob:
    """What the row of a running job says of its worker; it changes with every sign of life."""

    job_id: int
    number: int
    boot_id: int | None
    heartbeat_at: datetime | None


def running_elsewhere(session: Session, boot_id: int) -> list[RunningJob]:
    """Return the running jobs of all boots but this one."""
    rows = session.execute(
        select(Job.id, Job.attempts, Job.boot_id, Job.heartbeat_at).where(
            Job.state == JobState.RUNNING, Job.boot_id != boot_id
        )
    )
    return [RunningJob(job_id, number, owner, beat) for job_id, number, owner, beat in rows]


def rescue_stalled(session: Session, stalled: Sequence[RunningJob], quarantine_after: int) -> Rescued:
    """Put back those of the jobs that have given no sign of life since they were read."""
    unchanged = tuple_(Job.id, Job.attempts, Job.boot_id, Job.heartbeat_at).in_(
        [(sign.job_id, sign.number, sign.boot_id, sign.heartbeat_at) for sign in stalled]
    )
    return _rescued(session, unchanged, quarantine_after)


def _rescued(session: Session, which: ColumnElement[bool], quarantine_after: int) -> Rescued:
    """Put back or set aside those running jobs, whose workers are gone, and end their attempts."""
    moment = now()
    running = select(Job.id).where(Job.state == JobState.RUNNING, which)
    session.execute(
        update(Attempt)
        .where(Attempt.outcome == Outcome.RUNNING, Attempt.job_id.in_(running))
        .values(
            outcome=Outcome.LOST,
            cause="worker_lost",
            error="the worker went away before it settled",
            finished_at=moment,
        )
        .execution_options(synchronize_session=False)
    )
    # A worker that was told to stop at once has noted its end, and its job is not to blame.
    killed = Job.boot_id.in_(select(Boot.id).where(Boot.ended_at.is_(None)))
    losses = Job.losses + case((killed, 1), else_=0)
    jobs = session.execute(
        update(Job)
        .where(Job.state == JobState.RUNNING, which)
        .values({"losses": losses} | _put_back(moment, losses >= quarantine_after))
        .returning(Job.id, Job.state)
        .execution_options(synchronize_session=False)
    ).all()
    return Rescued(
        queued=sorted(number for number, state in jobs if state == JobState.QUEUED),
        quarantined=sorted(number for number, state in jobs if state == JobState.QUARANTINED),
    )


def _put_back(moment: datetime, set_aside: ColumnElement[bool] | None = None) -> dict[str, object]:
    """Return the values of a running job whose worker gives it up.

    It is queued again, unless cancelling was asked for or `set_aside` says that it may not run again.
    """
    queued = instant()
    asked, apart = Job.cancel_requested, false() if set_aside is None else set_aside
    return {
        "state": case((asked, JobState.CANCELLED), (apart, JobState.QUARANTINED), else_=JobState.QUEUED),
        "finished_at": case((or_(asked, apart), literal(moment, Job.finished_at.type))),
        "cause": case((asked, "cancelled"), (apart, "quarantined")),
        "error": case((apart & ~asked, "its worker went away too often while it ran: `producer retry` tries it again")),
        "cancel_requested": False,
        "queued_at": moment,
        "queued_s": queued.s,
        "queued_clock": queued.clock,
        "published_at": None,
        "boot_id": None,
    }


def _end_attempt(session: Session, claim: Claim, ended: Ended, **values: object) -> None:
    session.execute(
        update(Attempt).where(Attempt.id == claim.attempt_id).values(finished_at=ended.at, finished_s=ended.s, **values)
    )


def ended_attempts(session: Session, attempt_ids: Collection[int]) -> set[int]:
    """Return which of these attempts are over, or were never begun."""
    running = select(Attempt.id).where(Attempt.outcome == Outcome.RUNNING, Attempt.id.in_(attempt_ids))
    return set(attempt_ids) - set(session.scalars(running))


def _update_if_owned(session: Session, claim: Claim, **values: object) -> bool:
    updated = session.scalar(
        update(Job)
        .where(
            Job.id == claim.job_id,
            Job.state == JobState.RUNNING,
            Job.boot_id == claim.boot_id,
            Job.attempts == claim.number,
        )
        .values(values)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return updated is not None
