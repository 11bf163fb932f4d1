"""What a worker notes of itself: its boot, its loads, what its memory guard did."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from models.records.tables import Boot, GuardAction, Load
from models.types.clock import Instant, clock_name, instant, now, seconds_since
from models.types.measurement import LoadMeasurement
from models.types.message import DEFAULT_QUEUE
from models.types.states import GuardStep

#: The kinds of memory that a load records.
_LOAD_KINDS = ("rss", "device_allocated", "device_driver", "available")


@dataclass(frozen=True)
class Machine:
    """Where a boot runs, as found by the worker."""

    host: str
    pid: int
    lock_uid: str
    device: str
    device_name: str
    chip: str
    threads: int
    dtype: str
    memory_total_bytes: int | None
    versions: Mapping[str, str]
    memory_sources: Mapping[str, str]
    queues: Sequence[str] = (DEFAULT_QUEUE,)


def record_boot(session: Session, machine: Machine, started_at: datetime | None = None) -> int:
    """Insert a boot and return its number.

    Whoever tries again gives the same moment, so that an earlier try is known whose answer was lost.
    """
    started_at = started_at or now()
    same = (Boot.pid == machine.pid, Boot.lock_uid == machine.lock_uid, Boot.started_at == started_at)
    earlier = session.scalar(select(Boot.id).where(*same))
    if earlier is not None:
        return earlier
    boot = Boot(**asdict(machine), started_at=started_at, clock=clock_name())
    session.add(boot)
    session.flush()
    return boot.id


def record_load(session: Session, boot_id: int, measured: LoadMeasurement, loaded_at: datetime | None = None) -> int:
    """Insert a load with its warm-up and return its number.

    Whoever tries again gives the same moment, so that an earlier try is known whose answer was lost.
    """
    loaded_at = loaded_at or now()
    earlier = session.scalar(select(Load.id).where(Load.boot_id == boot_id, Load.loaded_at == loaded_at))
    if earlier is not None:
        return earlier
    memory = measured.before.columns("before") | measured.after.columns("after")
    load = Load(
        boot_id=boot_id,
        checkpoint=measured.weights.checkpoint,
        revision=measured.revision,
        tuning=measured.knobs.as_dict(),
        loaded_at=loaded_at,
        load_s=measured.load_s,
        warmup_s=measured.warmup_s,
        warmup_steps=measured.warmup_steps,
        **{name: value for name, value in memory.items() if name.startswith(_LOAD_KINDS)},
    )
    session.add(load)
    session.flush()
    return load.id


def mark_ready(session: Session, boot_id: int) -> None:
    """Note that the boot can take its first job, and what the restart cost that it came of, if it did."""
    session.execute(update(Boot).where(Boot.id == boot_id).values(ready_at=now()))
    note_alive(session, boot_id)
    note_restart_cost(session, boot_id)


def newest_boot(session: Session) -> int:
    """Return the number of the newest boot, 0 before there is one."""
    return session.scalar(select(func.max(Boot.id))) or 0


def is_ready(session: Session, pid: int, after: int) -> bool:
    """Tell whether the boot of process `pid` that came after boot `after` could take jobs."""
    ready = select(Boot.id).where(Boot.pid == pid, Boot.id > after, Boot.ready_at.is_not(None))
    return session.scalar(ready.limit(1)) is not None


def note_alive(session: Session, boot_id: int) -> None:
    """Give a sign of life."""
    session.execute(update(Boot).where(Boot.id == boot_id).values(alive_at=now(), alive_s=instant().s))


def note_peak(session: Session, boot_id: int, rss_lifetime_peak_bytes: int | None) -> None:
    """Keep the operating system's own figure of the process's highest resident memory; None leaves the last one."""
    if rss_lifetime_peak_bytes is None:
        return
    session.execute(update(Boot).where(Boot.id == boot_id).values(rss_lifetime_peak_bytes=rss_lifetime_peak_bytes))


def note_waiting(session: Session, boot_id: int, what: str | None) -> None:
    """Note what the boot waits for, or that it works."""
    session.execute(update(Boot).where(Boot.id == boot_id).values(waiting_for=what))


def mark_ended(session: Session, boot_id: int) -> None:
    """Note an orderly end; a boot that was killed has none."""
    session.execute(update(Boot).where(Boot.id == boot_id).values(ended_at=now(), waiting_for=None))


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
