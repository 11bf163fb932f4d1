"""Putting jobs back whose workers are gone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, Text, and_, cast, exists, func, or_, select, tuple_, update
from sqlalchemy.orm import Session, aliased

from models.records.attempts import released
from models.records.tables import Attempt, Boot, Job
from models.types.causes import Cause
from models.types.clock import now
from models.types.fate import Fate, Tries, fate
from models.types.states import JobState, Outcome

_HEARTBEAT = cast(Job.heartbeat_at, Text)


@dataclass(frozen=True)
class Rescued:
    """Numbers of the jobs that were put back, and of those that were set aside."""

    queued: list[int]
    quarantined: list[int]


def rescue(session: Session, boot_id: int, tries: Tries) -> Rescued:
    """Put back every running job of earlier boots under this boot's lock.

    Only the holder of the device's lock may call it: the lock says that those boots are gone. A job whose worker went
    away too often is set aside instead.
    """
    return _rescued(session, boot_id, Job.boot_id.in_(earlier_boots(boot_id)), tries)


def left_running(session: Session, boot_id: int) -> set[int]:
    """Return the numbers of the attempts that `rescue` would end."""
    return set(
        session.scalars(
            select(Attempt.id).where(Attempt.outcome == Outcome.RUNNING, Attempt.boot_id.in_(earlier_boots(boot_id)))
        )
    )


def earlier_boots(boot_id: int) -> Select[int]:
    """Return the numbers of those under this boot's lock."""
    here = select(Boot.lock_uid, Boot.host, Boot.device).where(Boot.id == boot_id).subquery()
    # Rows of a version that did not name the lock are known by host and device.
    unnamed = and_(Boot.lock_uid.is_(None), Boot.host == here.c.host, Boot.device == here.c.device)
    return select(Boot.id).where(Boot.id != boot_id, or_(unnamed, Boot.lock_uid == here.c.lock_uid))


@dataclass(frozen=True)
class RunningJob:
    """What the row of a running job says of its worker; it changes with every sign of life."""

    job_id: int
    attempt_number: int
    queue: str
    boot_id: int | None
    #: As the database has it: whether it changes is all that counts, and a time that is none must stop nobody.
    heartbeat_at: str | None


def running_jobs(session: Session) -> list[RunningJob]:
    """Return the running jobs of all boots."""
    rows = session.execute(
        select(Job.id, Job.attempts, Job.queue, Job.boot_id, _HEARTBEAT).where(Job.state == JobState.RUNNING)
    )
    return [RunningJob(*row) for row in rows]


def rescue_stalled(session: Session, boot_id: int, stalled: Sequence[RunningJob], tries: Tries) -> Rescued:
    """Put back, on behalf of a boot, those of the jobs that have given no sign of life since they were read."""
    unchanged = tuple_(Job.id, Job.attempts, Job.boot_id, _HEARTBEAT).in_(
        [(sign.job_id, sign.attempt_number, sign.boot_id, sign.heartbeat_at) for sign in stalled]
    )
    return _rescued(session, boot_id, unchanged, tries)


def _rescued(session: Session, boot_id: int, which: ColumnElement[bool], tries: Tries) -> Rescued:
    """Put back or set aside those running jobs, whose workers are gone, and end their attempts."""
    moment = now()
    running = select(Job.id).where(Job.state == JobState.RUNNING, which)
    # A boot makes one call after the other: the jobs of one before its newest were made, and waited to be settled.
    newest = session.scalars(
        select(func.max(Attempt.id))
        .where(Attempt.outcome == Outcome.RUNNING, Attempt.job_id.in_(running))
        .group_by(Attempt.boot_id)
    ).all()
    session.execute(
        update(Attempt)
        .where(Attempt.outcome == Outcome.RUNNING, Attempt.job_id.in_(running))
        .values(
            outcome=Outcome.LOST,
            cause=Cause.WORKER_LOST,
            error=Cause.WORKER_LOST.sentence,
            finished_at=moment,
        )
        .execution_options(synchronize_session=False)
    )
    # A worker that was told to stop at once has noted its end, and its job is not to blame; nor is one whose claim this
    # boot never heard of.
    killed = Job.boot_id.in_(select(Boot.id).where(Boot.ended_at.is_(None), Boot.id != boot_id))
    last = aliased(Attempt)
    # Jobs that are claimed together begin at the same moment, to the microsecond.
    at_work = exists().where(
        Attempt.job_id == Job.id,
        Attempt.boot_id == last.boot_id,
        Attempt.started_at == last.started_at,
        last.id.in_(newest),
    )
    left = session.execute(
        select(Job.id, Job.failures, Job.losses, (killed & at_work).label("took_it_down"))
        .where(Job.state == JobState.RUNNING, which)
        .with_for_update()
    ).all()
    fates: dict[Fate, list[int]] = {Fate.GIVE_BACK: [], Fate.LOSE: [], Fate.QUARANTINE: []}
    for job in left:
        cause = Cause.WORKER_LOST if job.took_it_down else Cause.STOPPED
        fates[fate(Outcome.LOST, cause, job.failures, job.losses, tries)].append(job.id)
    rows = [
        row
        for what, ids in fates.items()
        if ids
        for row in session.execute(
            update(Job)
            .where(Job.id.in_(ids))
            .values(
                {"losses": Job.losses if what is Fate.GIVE_BACK else Job.losses + 1}
                | released(moment, set_aside=what is Fate.QUARANTINE)
            )
            .returning(Job.id, Job.state)
            .execution_options(synchronize_session=False)
        )
    ]
    return Rescued(
        queued=sorted(job_id for job_id, state in rows if state == JobState.QUEUED),
        quarantined=sorted(job_id for job_id, state in rows if state == JobState.QUARANTINED),
    )


def ended_attempts(session: Session, attempt_ids: Collection[int]) -> set[int]:
    """Return which of these attempts are over, or were never begun."""
    running = select(Attempt.id).where(Attempt.outcome == Outcome.RUNNING, Attempt.id.in_(attempt_ids))
    return set(attempt_ids) - set(session.scalars(running))
