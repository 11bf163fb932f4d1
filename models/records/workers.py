"""Workers that are known, and which of them looks after the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, aliased

from models.records.tables import Batch, Boot, Job, SweepLease, Training
from models.types.clock import Instant, now, seconds_since
from models.types.message import DEFAULT_QUEUE
from models.types.states import JobState


class WorkerState(StrEnum):
    """What a worker's own signs say of it."""

    LOADING = "loading"
    ALIVE = "alive"
    #: No sign of life for longer than the settings allow: killed, frozen, or cut off.
    SILENT = "silent"


@dataclass(frozen=True)
class KnownWorker:
    """A worker that has not said that it ended."""

    host: str
    device: str
    device_name: str
    #: Those that it takes jobs from.
    queues: Sequence[str]
    state: WorkerState
    started_at: datetime
    #: The job that it is at, and the batch of that; None between two jobs.
    job_id: int | None
    batch: str | None
    #: How many more jobs it has in hand: made in the same call, or waiting to be recorded.
    other_jobs: int
    #: The training that it takes steps of.
    training: str | None
    #: Its last sign of life.
    seen_at: datetime
    #: Seconds since then, None where that cannot be told.
    quiet_s: float | None
    waiting_for: str | None


def known_workers(session: Session, stall_s: float) -> list[KnownWorker]:
    """Return the newest worker of each device, unless that one has noted its end."""
    newest = select(func.max(Boot.id)).group_by(Boot.lock_uid)
    boots = session.scalars(select(Boot).where(Boot.id.in_(newest), Boot.ended_at.is_(None)).order_by(Boot.id))
    known = []
    for boot in boots:
        seen_at = boot.alive_at or boot.started_at
        quiet_s = seconds_since(seen_at, Instant(boot.alive_s, boot.clock))
        silent = quiet_s is None or quiet_s > stall_s
        state = WorkerState.SILENT if silent else WorkerState.ALIVE if boot.ready_at else WorkerState.LOADING
        at = session.execute(
            select(Job.id, Batch.name)
            .join(Batch)
            .where(Job.boot_id == boot.id, Job.state == JobState.RUNNING)
            .order_by(Job.id)
        ).all()
        known.append(
            KnownWorker(
                boot.host,
                boot.device,
                boot.device_name,
                boot.queues or [DEFAULT_QUEUE],
                state,
                boot.started_at,
                at[0].id if at else None,
                at[0].name if at else None,
                max(0, len(at) - 1),
                session.scalar(
                    select(Training.name).where(Training.boot_id == boot.id, Training.state == JobState.RUNNING)
                ),
                seen_at,
                quiet_s,
                boot.waiting_for,
            )
        )
    return known


#: There is one lease, and so one row.
_ID = 1


@dataclass(frozen=True)
class Lease:
    """A boot's right to look after the queue; it changes with each renewal."""

    boot_id: int
    renewed_at: datetime


def other_lease(session: Session, boot_id: int) -> Lease | None:
    """Return the lease if another boot has it that may still live, which rows alone cannot tell for sure.

    A boot that has ended, or whose device's lock this boot has, does not live.
    """
    mine = aliased(Boot)
    row = session.execute(
        select(SweepLease.boot_id, SweepLease.renewed_at)
        .join(Boot, SweepLease.boot_id == Boot.id)
        .join(mine, mine.id == boot_id)
        .where(
            SweepLease.boot_id != boot_id,
            Boot.ended_at.is_(None),
            or_(Boot.lock_uid.is_(None), mine.lock_uid.is_(None), Boot.lock_uid != mine.lock_uid),
        )
    ).first()
    return None if row is None else Lease(*row)


def renew_lease(session: Session, boot_id: int) -> None:
    """Take the lease, or renew it."""
    session.merge(SweepLease(id=_ID, boot_id=boot_id, renewed_at=now()))
