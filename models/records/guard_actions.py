"""What the memory guard did: recording it, and reading how often and at what cost."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.records.tables import Boot, GuardAction, now, seconds_since
from models.types.clock import Instant, instant
from models.types.states import GuardStep


@dataclass(frozen=True)
class GuardFigures:
    """How often the memory guard took a step, and what that cost."""

    step: GuardStep
    times: int
    #: How many of them have a cost: a restart has none before the next boot is ready.
    timed: int
    #: Seconds of these together, None if there are none.
    cost_s: float | None


def record_guard_action(
    session: Session,
    boot_id: int,
    step: GuardStep,
    *,
    held_before_bytes: int,
    limit_bytes: int,
    held_after_bytes: int | None = None,
    cost_s: float | None = None,
) -> None:
    """Insert what the guard has done, or in the case of a restart is about to do."""
    session.add(
        GuardAction(
            boot_id=boot_id,
            taken_at=now(),
            taken_s=instant().s,
            step=step,
            held_before_bytes=held_before_bytes,
            held_after_bytes=held_after_bytes,
            limit_bytes=limit_bytes,
            cost_s=cost_s,
        )
    )


def note_restart_cost(session: Session, boot_id: int) -> None:
    """Give the restart that this boot came of, if it did, its cost: the seconds until now, when the boot is ready."""
    lock_uid = select(Boot.lock_uid).where(Boot.id == boot_id).scalar_subquery()
    restarts = session.execute(
        select(GuardAction, Boot.clock)
        .join(Boot)
        .where(Boot.lock_uid == lock_uid, GuardAction.step == GuardStep.RESTART, GuardAction.cost_s.is_(None))
    )
    for restart, clock in restarts:
        restart.cost_s = seconds_since(restart.taken_at, Instant(restart.taken_s, clock))


def guard_figures(
    session: Session,
    boots: Collection[int] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[GuardFigures]:
    """Return what the guard did, of these boots and between these moments where they are given; cheapest step first."""
    query = select(GuardAction.step, func.count(), func.count(GuardAction.cost_s), func.sum(GuardAction.cost_s))
    if boots is not None:
        query = query.where(GuardAction.boot_id.in_(boots))
    if since is not None:
        query = query.where(GuardAction.taken_at >= since)
    if until is not None:
        query = query.where(GuardAction.taken_at <= until)
    found = {row[0]: row for row in session.execute(query.group_by(GuardAction.step))}
    return [GuardFigures(step, *found[step][1:]) for step in GuardStep if step in found]
