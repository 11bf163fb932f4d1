"""Which of several workers looks after the queue: one at a time, and another one when that stops renewing its lease."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, aliased

from models.records.tables import Boot, SweepLease, now

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
