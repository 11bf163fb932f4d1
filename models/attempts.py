"""Claiming and settling: each changes a job only if it is still what the caller believes it to be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

from sqlalchemy import (
    ClauseElement,
    bindparam,
    case,
    exists,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Session

from models.batches import spec_of
from models.causes import Cause
from models.clock import Instant, instant
from models.errors import LimitsChangedError, QueuePausedError
from models.finding import Finding
from models.job import JobSpec
from models.measurement import Measurement
from models.message import JobMessage
from models.pauses import paused_since
from models.replacements import replace
from models.states import JobState, Outcome
from models.tables import Attempt, Base, Batch, Job, Pause, now, seconds_since
from models.verdicts import record_likenesses, record_verdicts


@dataclass(frozen=True)
class Claim:
    """A worker's right to one attempt; it holds as long as job, boot and number match the row."""

    job_id: int
    batch_id: int
    batch_name: str
    batch_uid: str
    attempt_id: int
    #: 1 for the job's first attempt.
    attempt_number: int
    boot_id: int
    spec: JobSpec
    queue_wait_s: float | None
    started_at: datetime
    #: How often the job ended before in a way that may pass, and how often it took its worker down.
    failures: int
    #: 0 in the note of a picture that an earlier version kept.
    losses: int = 0
    #: What a template chose for it, by the choices' names.
    attributes: Mapping[str, str] = field(default_factory=dict)
    #: The limits of the batch's checks; None where pictures are not judged.
    checks: Mapping[str, Mapping[str, Any]] | None = None

    @property
    def ids(self) -> dict[str, object]:
        """What a line of the log is about, as it names it for machines."""
        return {
            "job": self.job_id,
            "batch": self.batch_name,
            "attempt": self.attempt_id,
            "attempt_number": self.attempt_number,
        }


@dataclass(frozen=True)
class Ended:
    """When an attempt ended, by the time of day and by the clock of its boot."""

    at: datetime
    s: float | None

    @classmethod
    def now(cls) -> "Ended":
        """This moment."""
        return cls(now(), instant().s)


@dataclass(frozen=True)
class Result:
    """How an attempt ended, as its row has it."""

    outcome: Outcome
    measured: Measurement = field(default_factory=Measurement)
    load_id: int | None = None
    #: The picture's name in the store.
    picture: str | None = None
    cause: Cause | None = None
    error: str | None = None
    #: What the batch's checks found of the picture.
    findings: Sequence[Finding] = ()
    #: What later pictures are compared with this one by, in hexadecimal digits; None where that is not asked for.
    likeness: str | None = None

    @property
    def is_rejected(self) -> bool:
        """Whether a check is against the picture."""
        return not all(finding.passed for finding in self.findings)


class Recorded(IntEnum):
    """Whether an attempt's end is in the database as its own; true if it is."""

    #: The job is no longer the attempt's.
    NOT = 0
    NOW = 1
    #: By an earlier try, whose answer was lost.
    EARLIER = 2


_STATES = {
    Outcome.SUCCEEDED: JobState.SUCCEEDED,
    Outcome.FAILED: JobState.FAILED,
    Outcome.CANCELLED: JobState.CANCELLED,
}


_ATTEMPTS, _JOBS = (Base.metadata.tables[row.__tablename__] for row in (Attempt, Job))

# Built once: building a statement takes SQLAlchemy longer than SQLite takes to execute it, and these come with every
# picture.
_CLAIM = (
    update(Job)
    .where(
        Job.id == bindparam("of_job"),
        Job.batch_id == select(Batch.id).where(Batch.uid == bindparam("of_batch")).scalar_subquery(),
        Job.state == JobState.QUEUED,
        ~exists().where(Pause.resumed_at.is_(None)),
    )
    .values(
        state=JobState.RUNNING,
        attempts=Job.attempts + 1,
        boot_id=bindparam("by_boot"),
        heartbeat_at=bindparam("moment"),
        not_before=None,
        cancel_requested=False,
    )
    .returning(Job)
    .execution_options(synchronize_session=False)
)
_RUNNING_HERE = (
    select(Job, Attempt)
    .join(Batch, Batch.id == Job.batch_id)
    .join(Attempt, (Attempt.job_id == Job.id) & (Attempt.number == Job.attempts))
    .where(
        Job.id == bindparam("of_job"),
        Batch.uid == bindparam("of_batch"),
        Job.state == JobState.RUNNING,
        Job.boot_id == bindparam("by_boot"),
        Attempt.outcome == Outcome.RUNNING,
    )
)
_BATCH = select(Batch.name, Batch.uid, Batch.checks).where(Batch.id == bindparam("of_batch"))
_LIMITS = select(Batch.checks).where(Batch.id == bindparam("of_batch")).with_for_update(read=True)
_BEGIN_ATTEMPT = insert(_ATTEMPTS).returning(Attempt.id)
_END_ATTEMPT = update(_ATTEMPTS).where(Attempt.id == bindparam("of_attempt"))
_CHANGE_OWNED = (
    update(_JOBS)
    .where(
        Job.id == bindparam("of_job"),
        Job.state == JobState.RUNNING,
        Job.boot_id == bindparam("of_boot"),
        Job.attempts == bindparam("of_attempt_number"),
    )
    .returning(Job.id)
)


def claim(
    session: Session, message: JobMessage, boot_id: int, is_in_hand: Callable[[int, int], bool] = lambda *_: True
) -> Claim | None:
    """Turn a delivery into an attempt, counted before it starts; None if the job is not there to be had.

    What runs is what the row says; the message only names it. An earlier claim of this boot whose answer was lost is
    found and returned: the job runs under this boot's name, and `is_in_hand` says of no such job and attempt number
    that somebody works on it.

    Raises:
        QueuePausedError: no job begins now.
        ValidationError: if the row holds what no job may have; `refuse` fails such a job.
        ValueError, TypeError, LookupError: if it holds what cannot be read at all; the same.
    """
    moment = now()
    job = session.scalar(
        _CLAIM, {"of_job": message.job, "of_batch": message.batch, "by_boot": boot_id, "moment": moment}
    )
    if job is None:
        earlier = _unanswered(session, message, boot_id)
        if earlier is not None and not is_in_hand(earlier.job_id, earlier.attempt_number):
            return earlier
        if paused_since(session) is not None:
            raise QueuePausedError
        return None
    attempt = Attempt(
        job_id=job.id,
        batch_id=job.batch_id,
        boot_id=boot_id,
        number=job.attempts,
        started_at=moment,
        started_s=instant().s,
        queue_wait_s=seconds_since(job.queued_at, Instant(job.queued_s, job.queued_clock)),
    )
    columns = ("job_id", "batch_id", "boot_id", "number", "started_at", "started_s", "queue_wait_s")
    attempt.id = session.scalars(_BEGIN_ATTEMPT, {name: getattr(attempt, name) for name in columns}).one()
    return _claim_of(session, job, attempt)


def _unanswered(session: Session, message: JobMessage, boot_id: int) -> Claim | None:
    """Return this boot's claim of the message's job, which runs; None if it does not run here."""
    row = session.execute(_RUNNING_HERE, {"of_job": message.job, "of_batch": message.batch, "by_boot": boot_id}).first()
    return None if row is None else _claim_of(session, row.Job, row.Attempt)


def _claim_of(session: Session, job: Job, attempt: Attempt) -> Claim:
    batch = session.execute(_BATCH, {"of_batch": job.batch_id}).one()
    return Claim(
        job.id,
        job.batch_id,
        batch.name,
        batch.uid,
        attempt.id,
        attempt.number,
        attempt.boot_id,
        spec_of(job),
        attempt.queue_wait_s,
        attempt.started_at,
        job.failures,
        job.losses,
        job.attributes or {},
        batch.checks,
    )


def refuse(session: Session, job_id: int, error: str) -> None:
    """Fail a queued job whose row holds what no job may have; it was changed by hand, and is not read here."""
    session.execute(
        update(Job)
        .where(Job.id == job_id, Job.state == JobState.QUEUED)
        .values(state=JobState.FAILED, cause=Cause.INVALID, error=error, finished_at=now())
        .execution_options(synchronize_session=False)
    )


def settle(session: Session, claim: Claim, result: Result, ended: Ended | None = None) -> Recorded:
    """Write an attempt's result and its job's state, unless the job is no longer this claim's.

    What was not accepted is replaced, if the batch has it so. `ended` says when the attempt ended, if that was not just
    now; whoever tries again gives it, so that an earlier try is known whose answer was lost. So do `postpone`,
    `give_back` and `lose`.

    Raises:
        LimitsChangedError: the picture was judged by other limits than the batch has now; nothing is written.
    """
    ended = ended or Ended.now()
    state = JobState.REJECTED if result.is_rejected else _STATES[result.outcome]
    values = {"state": state, "finished_at": ended.at, "picture": result.picture}
    values |= {"cause": result.cause, "error": result.error}
    recorded = _end(session, claim, result, ended, values)
    if recorded is not Recorded.NOW:
        return recorded
    if result.outcome is Outcome.SUCCEEDED:
        # Whoever changes them after this finds the picture.
        limits = limits_of(session, claim)
        if limits != claim.checks:
            raise LimitsChangedError(limits)
    if result.findings:
        record_verdicts(session, {claim.job_id: result.findings})
        record_likenesses(session, {claim.job_id: bytes.fromhex(result.likeness) if result.likeness else None})
    if result.is_rejected or result.outcome is Outcome.FAILED:
        replace(session, [claim.job_id])
    return recorded


def limits_of(session: Session, claim: Claim) -> Mapping[str, Mapping[str, Any]] | None:
    """Return the limits by which pictures of the claim's batch are judged now; they stay so until the transaction ends.

    None where they are not judged. Locked where the database has locks of rows: whoever changes them waits.
    """
    limits: Mapping[str, Mapping[str, Any]] | None = session.scalar(_LIMITS, {"of_batch": claim.batch_id})
    return limits


def postpone(session: Session, claim: Claim, result: Result, wait_s: float, ended: Ended | None = None) -> Recorded:
    """Write a failed attempt and queue its job again, not to be published for `wait_s` seconds."""
    moment = now()
    later = {"failures": Job.failures + 1, "not_before": moment + timedelta(seconds=wait_s)}
    return _end(session, claim, result, ended, put_back(moment) | later)


def give_back(session: Session, claim: Claim, result: Result, ended: Ended | None = None) -> Recorded:
    """Put a claimed job back on the queue, to be published again; its attempt counts as lost."""
    return _end(session, claim, result, ended, put_back(now()))


def lose(session: Session, claim: Claim, result: Result, *, set_aside: bool, ended: Ended | None = None) -> Recorded:
    """Put a claimed job back that takes its worker down, or set it aside."""
    return _end(session, claim, result, ended, {"losses": Job.losses + 1} | put_back(now(), set_aside=set_aside))


def renew(session: Session, claim: Claim) -> bool | None:
    """Give a sign of life; return whether cancelling was asked for, None if the job is no longer this claim's."""
    if not _update_if_owned(session, claim, heartbeat_at=now()):
        return None
    return session.scalar(select(Job.cancel_requested).where(Job.id == claim.job_id))


def put_back(moment: datetime, *, set_aside: bool = False) -> dict[str, object]:
    """Return the values of a running job's row whose worker gives the job up.

    It is queued again, or `set_aside`; where cancelling was asked for it is cancelled.
    """
    queued = instant()
    asked = Job.cancel_requested
    state, cause, error, finished_at = JobState.QUEUED, None, None, None
    if set_aside:
        state, cause, finished_at = JobState.QUARANTINED, Cause.QUARANTINED, moment
        error = Cause.QUARANTINED.sentence
    return {
        "state": case((asked, JobState.CANCELLED), else_=state),
        "finished_at": case((asked, literal(moment, Job.finished_at.type)), else_=finished_at),
        "cause": case((asked, Cause.CANCELLED), else_=cause),
        "error": case((asked, None), else_=error),
        "cancel_requested": False,
        "queued_at": moment,
        "queued_s": queued.s,
        "queued_clock": queued.clock,
        "published_at": None,
        # So that whoever looks after the queue publishes it, where nobody else does.
        "not_before": moment,
        "boot_id": None,
    }


def _end(session: Session, claim: Claim, result: Result, ended: Ended | None, values: Mapping[str, object]) -> Recorded:
    """Give the claim's job the values, and write its attempt's end."""
    ended = ended or Ended.now()
    if _update_if_owned(session, claim, **values):
        _end_attempt(session, claim, result, ended)
        return Recorded.NOW
    # To the microsecond, which no other end of the same attempt has.
    earlier = exists().where(Attempt.id == claim.attempt_id, Attempt.finished_at == ended.at)
    return Recorded.EARLIER if session.scalar(select(earlier)) else Recorded.NOT


def _end_attempt(session: Session, claim: Claim, result: Result, ended: Ended) -> None:
    values = {
        "of_attempt": claim.attempt_id,
        "finished_at": ended.at,
        "finished_s": ended.s,
        "outcome": result.outcome,
        "cause": result.cause,
        "error": result.error,
        "load_id": result.load_id,
    }
    session.execute(_END_ATTEMPT, values | result.measured.columns())


def _update_if_owned(session: Session, claim: Claim, **values: object) -> bool:
    computed = {name: value for name, value in values.items() if isinstance(value, ClauseElement)}
    plain = {name: value for name, value in values.items() if name not in computed}
    owner = {"of_job": claim.job_id, "of_boot": claim.boot_id, "of_attempt_number": claim.attempt_number}
    statement = _CHANGE_OWNED.values(computed) if computed else _CHANGE_OWNED
    return session.scalar(statement, owner | plain) is not None
