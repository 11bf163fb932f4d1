"""The ends of attempts: each changes a job only if it is still the claim's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

from sqlalchemy import bindparam, case, exists, literal, select, update
from sqlalchemy.orm import Session

from models.records.claims import Claim, change_claimed
from models.records.judging.acceptance import record_likenesses, record_verdicts
from models.records.judging.replacements import replace, replacement_of
from models.records.tables import Attempt, Batch, Job, Training
from models.records.tables.columns import Base
from models.records.turns import later_turn
from models.types.causes import Cause
from models.types.clock import instant, now
from models.types.errors import LimitsChangedError
from models.types.finding import Finding
from models.types.measurement import Measurement
from models.types.states import JobState, Outcome


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


@dataclass(frozen=True)
class Settled:
    """Whether an attempt's end is recorded, and the job that was queued to stand in for its own."""

    recorded: Recorded
    replaced_by: int | None = None


_STATES = {
    Outcome.SUCCEEDED: JobState.SUCCEEDED,
    Outcome.FAILED: JobState.FAILED,
    Outcome.CANCELLED: JobState.CANCELLED,
}


_ATTEMPTS = Base.metadata.tables[Attempt.__tablename__]
# Built once, as those of `models.records.claims`.
_LIMITS = select(Batch.checks).where(Batch.id == bindparam("of_batch")).with_for_update(read=True)
_END_ATTEMPT = update(_ATTEMPTS).where(Attempt.id == bindparam("of_attempt"))


def settle(session: Session, claim: Claim, result: Result, ended: Ended | None = None) -> Settled:
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
        return Settled(recorded, replacement_of(session, claim.job_id) if recorded else None)
    if result.outcome is Outcome.SUCCEEDED:
        # Whoever changes them after this finds the picture.
        limits = limits_of(session, claim)
        if limits != claim.checks:
            raise LimitsChangedError(limits)
    if result.findings:
        record_verdicts(session, {claim.job_id: result.findings})
        record_likenesses(session, {claim.job_id: bytes.fromhex(result.likeness) if result.likeness else None})
    replacements = []
    if result.is_rejected or result.outcome is Outcome.FAILED:
        replacements = replace(session, [claim.job_id])
    return Settled(recorded, replacements[0] if replacements else None)


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
    return _end(session, claim, result, ended, released(moment) | later)


def give_back(session: Session, claim: Claim, result: Result, ended: Ended | None = None) -> Recorded:
    """Put a claimed job back on the queue, to be published again; its attempt counts as lost."""
    return _end(session, claim, result, ended, released(now()))


def lose(session: Session, claim: Claim, result: Result, *, set_aside: bool, ended: Ended | None = None) -> Recorded:
    """Put a claimed job back that takes its worker down, or set it aside."""
    return _end(session, claim, result, ended, {"losses": Job.losses + 1} | released(now(), set_aside=set_aside))


def released(moment: datetime, *, set_aside: bool = False) -> dict[str, object]:
    """Return the values of a running job's row whose worker gives the job up; see `let_go`."""
    queued = instant()
    return let_go(Job, moment, set_aside=set_aside) | {
        "queued_at": moment,
        "queued_s": queued.s,
        "queued_clock": queued.clock,
        "turn": later_turn(),
        # So that whoever looks after the queue publishes it, where nobody else does.
        "not_before": moment,
    }


def let_go(row: type[Job] | type[Training], moment: datetime, *, set_aside: bool = False) -> dict[str, object]:
    """Return the values of the row of a job or of a training that a worker no longer has.

    It is queued again, or `set_aside`; where cancelling was asked for it is cancelled.
    """
    asked = row.cancel_requested
    state, cause, error, finished_at = JobState.QUEUED, None, None, None
    if set_aside:
        state, cause, finished_at = JobState.QUARANTINED, Cause.QUARANTINED, moment
        error = Cause.QUARANTINED.sentence
    return {
        "state": case((asked, JobState.CANCELLED), else_=state),
        "finished_at": case((asked, literal(moment, row.finished_at.type)), else_=finished_at),
        "cause": case((asked, Cause.CANCELLED), else_=cause),
        "error": case((asked, None), else_=error),
        "cancel_requested": False,
        "published_at": None,
        "boot_id": None,
    }


def _end(session: Session, claim: Claim, result: Result, ended: Ended | None, values: Mapping[str, object]) -> Recorded:
    """Give the claim's job the values, and write its attempt's end."""
    ended = ended or Ended.now()
    if change_claimed(session, claim, **values):
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
