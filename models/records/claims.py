"""Claims: which jobs a worker makes next, and its right to them as long as their rows say so."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Boolean, ColumnElement, Select, and_, bindparam, exists, func, insert, select, tuple_, update
from sqlalchemy.orm import Session
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.dml import ReturningUpdate

from models.records.batches import spec_of
from models.records.control import paused_since
from models.records.publication import due
from models.records.tables import Attempt, Batch, Job, Pause
from models.records.tables.columns import Base
from models.records.tables.identity_columns import columns
from models.records.turns import in_turn, is_published
from models.types.causes import Cause
from models.types.clock import Instant, instant, now, seconds_since
from models.types.errors import InvalidJobError, QueuePausedError
from models.types.identity import Kind, Setup
from models.types.job import JobSpec
from models.types.message import DEFAULT_QUEUE, JobMessage, what_is_invalid
from models.types.states import JobState, Outcome

#: How many of the jobs whose turn comes first are looked at for one that needs what the device is set up for: 100,000
#: must not make a job wait.
_LOOKED_AT = 1_000
#: How many jobs of a kind are counted: what that many repay is worth doing for any number.
_COUNTED_TO = 20_000
#: Given a job, and what counts the jobs of its kind that wait, the number of jobs that may be made in one call.
MostTogether = Callable[[JobSpec, Callable[[], int]], int]


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


_ATTEMPTS, _JOBS = (Base.metadata.tables[row.__tablename__] for row in (Attempt, Job))
_SETUP = fields(Setup)


def _of_setup(found: Iterable[Any]) -> ColumnElement[bool]:
    """Return what holds where these columns are of the bound setup; no job is of a setup that is NULL."""
    return and_(
        *(one == bindparam(f"setup_{part.name}", type_=one.type) for part, one in zip(_SETUP, found, strict=True))
    )


def _pick(*, waiting: bool) -> ColumnElement[int | None]:
    """Return the number of the job to make next; NULL where none waits.

    Of the jobs that have a message on the bound queue it is one of the highest priority; of those, one of the bound
    setup; of those, or where none is of it, the one whose turn it is. Where no job has a message, the bound job comes
    first: who publishes jobs notes it once their messages are sent, which a worker may have by then.

    What somebody else has in hand is left to them, or, if `waiting`, waited for.
    """
    first = (
        select(Job.id, Job.priority, *columns(Setup))
        .where(is_published(), Job.queue == bindparam("of_queue"))
        .order_by(Job.priority, *in_turn())
        .limit(1)
        .with_for_update(skip_locked=not waiting)
        .cte("first")
    )
    looked_at = (
        select(Job.id)
        .where(
            bindparam("has_setup", type_=Boolean),
            is_published(),
            Job.queue == bindparam("of_queue"),
            Job.priority == select(first.c.priority).scalar_subquery(),
        )
        .order_by(*in_turn())
        .limit(_LOOKED_AT)
        .subquery()
    )
    of_setup = (
        select(Job.id)
        .join(looked_at, looked_at.c.id == Job.id)
        .where(_of_setup(columns(Setup)))
        .order_by(*in_turn())
        .limit(1)
        .with_for_update(skip_locked=not waiting, of=Job)
    )
    # Not of those alone that no message is there for: a row that was spoiled by hand is in no index, and is refused.
    other = select(Job.id).where(Job.state == JobState.QUEUED, Job.queue == bindparam("of_queue"), due())
    choices = (
        select(first.c.id).where(_of_setup(first.c[part.name] for part in _SETUP)),
        of_setup,
        select(first.c.id),
        other.where(Job.id == bindparam("of_job")).with_for_update(skip_locked=not waiting),
        other.order_by(Job.published_at, Job.id).limit(1).with_for_update(skip_locked=not waiting),
    )
    return func.coalesce(*(choice.scalar_subquery() for choice in choices))


def _is_of_kind() -> ColumnElement[bool]:
    """Return what holds for jobs that can go together, as far as a device is concerned."""
    return and_(
        *(
            one == bindparam(f"kind_{part.name}", type_=one.type)
            for part, one in zip(fields(Kind), columns(Kind), strict=True)
        ),
        Job.guidance == bindparam("of_guidance"),
        Job.lora == bindparam("of_lora"),
    )


def _company() -> Select[int]:
    """Return the numbers of jobs that can go together with the bound job, in turn.

    They are of its queue, priority, kind and guidance, and have a message there. A job that failed or took its worker
    down before is made alone: if it does so again, no other suffers.
    """
    looked_at = (
        select(Job.id)
        .where(is_published(), Job.queue == bindparam("of_queue"), Job.priority == bindparam("of_priority"))
        .order_by(*in_turn())
        .limit(_LOOKED_AT)
        .subquery()
    )
    return (
        select(Job.id)
        .join(looked_at, looked_at.c.id == Job.id)
        .where(
            _is_of_kind(),
            Job.failures == 0,
            Job.losses == 0,
        )
        .order_by(*in_turn())
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True, of=Job)
    )


# Built once: building a statement takes SQLAlchemy longer than SQLite takes to execute it, and these come with every
# picture.
_BEGUN = {
    "state": JobState.RUNNING,
    "attempts": Job.attempts + 1,
    "boot_id": bindparam("by_boot"),
    "heartbeat_at": bindparam("moment"),
    "published_at": None,
    "not_before": None,
    "cancel_requested": False,
}


def _claim_of_pick(*, waiting: bool) -> ReturningUpdate[int]:
    return (
        update(_JOBS)
        .where(
            Job.id == _pick(waiting=waiting),
            Job.state == JobState.QUEUED,
            exists().where(Batch.uid == bindparam("of_batch")),
            ~exists().where(Pause.resumed_at.is_(None)),
        )
        .values(_BEGUN)
        .returning(Job.id)
    )


_CLAIM, _CLAIM_WAITING = _claim_of_pick(waiting=False), _claim_of_pick(waiting=True)
_IS_WAITED_FOR = select(exists().where(Job.state == JobState.QUEUED, Job.queue == bindparam("of_queue"), due()))
_COMPANY = _company()
_COUNTED = select(func.count()).select_from(
    select(Job.id)
    .where(is_published(), Job.queue == bindparam("of_queue"), _is_of_kind())
    .limit(_COUNTED_TO)
    .subquery()
)
_JOIN = update(_JOBS).where(Job.id.in_(bindparam("jobs", expanding=True))).values(_BEGUN)
_OF_JOB = (
    select(Job, Batch.name, Batch.uid, Batch.checks)
    .join(Batch, Batch.id == Job.batch_id)
    .where(Job.id == bindparam("of_job"))
    .execution_options(populate_existing=True)
)
_RUNNING_HERE = (
    select(Attempt)
    .join(Job, (Attempt.job_id == Job.id) & (Attempt.number == Job.attempts))
    .where(
        Job.state == JobState.RUNNING,
        Job.boot_id == bindparam("by_boot"),
        Attempt.outcome == Outcome.RUNNING,
    )
    .order_by(Attempt.id)
)
_BEGIN_ATTEMPT = insert(_ATTEMPTS).returning(Attempt.id)
_CHANGE_CLAIMED = (
    update(_JOBS)
    .where(
        Job.id == bindparam("of_job"),
        Job.state == JobState.RUNNING,
        Job.boot_id == bindparam("of_boot"),
        Job.attempts == bindparam("of_attempt_number"),
    )
    .returning(Job.id)
)
_RENEW = (
    update(_JOBS)
    .where(
        Job.state == JobState.RUNNING,
        Job.boot_id == bindparam("of_boot"),
        tuple_(Job.id, Job.attempts).in_(bindparam("of_attempts", expanding=True)),
    )
    .values(heartbeat_at=bindparam("moment"))
    .returning(Job.id, Job.cancel_requested)
)


def claim(
    session: Session,
    message: JobMessage,
    boot_id: int,
    setup: Setup | None = None,
    most_together: MostTogether = lambda *_: 1,
    queue: str = DEFAULT_QUEUE,
) -> list[Claim]:
    """Turn a message into an attempt, counted before it starts; nothing where no job waits.

    A message is worth one job of the queue that it came from, and the record says which: see `_pick`, where `setup` is
    what the device is set up for.
    Nothing, too, for a message that names a batch of another database.

    With it come others that can go together with it, as many as wait at this moment and `most_together` allows: a power
    of two in all, since some devices compile kernels for each number. There is a message for each of them that is worth
    nothing any more. `most_together` is given the job, and what counts those of its kind that wait, itself counted.

    Raises:
        QueuePausedError: no job begins now.
        InvalidJobError: the job's row, or its batch's, holds what no job may have; `refuse` fails such a job.
    """
    moment = now()
    begun = {"by_boot": boot_id, "moment": moment}
    bound = begun | {"of_job": message.job, "of_batch": message.batch, "has_setup": setup is not None}
    bound["of_queue"] = queue
    bound |= {f"setup_{part.name}": getattr(setup, part.name, None) for part in _SETUP}
    job_id = session.scalar(_CLAIM, bound)
    if job_id is None:
        if paused_since(session) is not None:
            raise QueuePausedError
        # Whoever marks jobs as published, or gives one back, has rows in hand that are queued again a moment later: a
        # message that found nothing then would be wasted, and its job wait for the sweep.
        job_id = session.scalar(_CLAIM_WAITING, bound) if session.scalar(_IS_WAITED_FOR, {"of_queue": queue}) else None
    if job_id is None:
        return []
    claims = [_begin(session, job_id, boot_id, moment)]
    spec = claims[0].spec
    if (most := most_together(spec, lambda: _waiting(session, spec, queue))) > 1 and not (
        claims[0].failures or claims[0].losses
    ):
        others = _others(session, job_id, spec, queue, most - 1)
        if others:
            session.execute(_JOIN, begun | {"jobs": others})
        claims += [_begin(session, other, boot_id, moment) for other in others]
    return claims


def _others(session: Session, job_id: int, spec: JobSpec, queue: str, most: int) -> list[int]:
    """Return the numbers of jobs that make a power of two together with the job, of at most so many more."""
    priority = session.scalar(select(Job.priority).where(Job.id == job_id))
    bound = _kind_of(spec) | {"of_queue": queue, "of_priority": priority, "most": most}
    found = session.scalars(_COMPANY, bound).all()
    return list(found[: 2 ** ((len(found) + 1).bit_length() - 1) - 1])


def _waiting(session: Session, spec: JobSpec, queue: str) -> int:
    return 1 + (session.scalar(_COUNTED, _kind_of(spec) | {"of_queue": queue}) or 0)


def _kind_of(spec: JobSpec) -> dict[str, object]:
    kind = Kind.of(spec)
    return {f"kind_{part.name}": getattr(kind, part.name) for part in fields(Kind)} | {
        "of_guidance": spec.guidance,
        "of_lora": spec.lora,
    }


def _begin(session: Session, job_id: int, boot_id: int, moment: datetime) -> Claim:
    try:
        found = session.execute(_OF_JOB, {"of_job": job_id}).one()
        job = found.Job
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
        return _claim_of(found, attempt)
    except ValidationError as error:
        raise InvalidJobError(job_id, what_is_invalid(error)) from error
    except (ValueError, TypeError, LookupError) as error:
        # A value that no job may have, a time that is none, JSON cut short.
        raise InvalidJobError(job_id, f"cannot be read: {error}") from error


def unanswered_claims(session: Session, boot_id: int, is_in_hand: Callable[[int, int], bool]) -> list[Claim]:
    """Return the claims of this boot whose answer was lost, which are those of one message.

    Their jobs run under the boot's name, and `is_in_hand` says of no such job and attempt number that somebody works on
    it.
    """
    return [
        _claim_of(session.execute(_OF_JOB, {"of_job": attempt.job_id}).one(), attempt)
        for attempt in session.scalars(_RUNNING_HERE, {"by_boot": boot_id}).all()
        if not is_in_hand(attempt.job_id, attempt.number)
    ]


def _claim_of(found: Any, attempt: Attempt) -> Claim:
    job = found.Job
    return Claim(
        job.id,
        job.batch_id,
        found.name,
        found.uid,
        attempt.id,
        attempt.number,
        attempt.boot_id,
        spec_of(job),
        attempt.queue_wait_s,
        attempt.started_at,
        job.failures,
        job.losses,
        job.attributes or {},
        found.checks,
    )


def refuse(session: Session, job_id: int, error: str) -> None:
    """Fail a queued job whose row holds what no job may have; it was changed by hand, and is not read here."""
    session.execute(
        update(Job)
        .where(Job.id == job_id, Job.state == JobState.QUEUED)
        .values(state=JobState.FAILED, cause=Cause.INVALID, error=error, finished_at=now())
        .execution_options(synchronize_session=False)
    )


def renew(session: Session, claims: Sequence[Claim]) -> dict[int, bool]:
    """Give a sign of life for claims of one boot.

    Returns, by the numbers of their jobs, whether cancelling was asked for; a job that is no longer its claim's is not
    among them.
    """
    attempts = [(claim.job_id, claim.attempt_number) for claim in claims]
    bound = {"of_boot": claims[0].boot_id, "of_attempts": attempts, "moment": now()}
    return {row.id: row.cancel_requested for row in session.execute(_RENEW, bound)}


def change_claimed(session: Session, claim: Claim, **values: object) -> bool:
    """Give the claim's job these values; False, and nothing is changed, if the job is no longer this claim's."""
    computed = {name: value for name, value in values.items() if isinstance(value, ClauseElement)}
    plain = {name: value for name, value in values.items() if name not in computed}
    owner = {"of_job": claim.job_id, "of_boot": claim.boot_id, "of_attempt_number": claim.attempt_number}
    statement = _CHANGE_CLAIMED.values(computed) if computed else _CHANGE_CLAIMED
    return session.scalar(statement, owner | plain) is not None
