"""How a batch went over time: its pictures in stretches of equal number, and what else happened meanwhile."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from models.figures.sums import WORST
from models.records.tables import Attempt, GuardAction, Load
from models.types.measurement import MEMORY_KINDS
from models.types.states import GuardStep, Outcome

#: Of each kind of event, the newest so many.
_MOST_EVENTS = 300


@dataclass(frozen=True)
class Stretch:
    """Pictures that were finished one after another; a single one where they are few."""

    pictures: int
    #: How many of them are not of steady state.
    cold: int
    #: When the last of them was finished.
    finished_at: datetime
    #: Seconds a picture: mean, least, most.
    mean_s: float
    low_s: float
    high_s: float
    #: Mean seconds in the queue, None where not measured.
    queue_wait_s: float | None
    #: The worst of each kind of memory, in bytes.
    memory: dict[str, int | None]


class EventKind(StrEnum):
    """What may happen beside pictures, in the order in which it is shown."""

    LOAD = "load"
    WARM_UP = "warm-up"
    SWITCH = "switch"
    GUARD = "memory guard"
    LOST = "lost attempt"
    FAILED = "failed attempt"


@dataclass(frozen=True)
class Event:
    """Something that happened beside pictures; a moment where it begins and ends at once."""

    kind: EventKind
    begin: datetime
    end: datetime
    says: str


def stretches(session: Session, batch_id: int | None, most: int) -> list[Stretch]:
    """Return at most so many stretches of the pictures of a batch, or of all, in the order of their attempts."""
    worst: dict[str, InstrumentedAttribute[int | None]] = {
        kind: getattr(Attempt, f"{kind}_{WORST[kind]}_bytes") for kind in MEMORY_KINDS
    }
    made = select(
        func.ntile(most).over(order_by=Attempt.id).label("place"),
        Attempt.cold,
        Attempt.finished_at,
        Attempt.total_s,
        Attempt.queue_wait_s,
        *(column.label(kind) for kind, column in worst.items()),
    ).where(Attempt.outcome == Outcome.SUCCEEDED, Attempt.total_s.is_not(None), Attempt.finished_at.is_not(None))
    if batch_id is not None:
        made = made.where(Attempt.batch_id == batch_id)
    one = made.subquery().c
    rows = session.execute(
        select(
            func.count().label("pictures"),
            func.count(case((one.cold, 1))).label("cold"),
            func.max(one.finished_at).label("finished_at"),
            func.avg(one.total_s).label("mean_s"),
            func.min(one.total_s).label("low_s"),
            func.max(one.total_s).label("high_s"),
            func.avg(one.queue_wait_s).label("queue_wait_s"),
            *((func.min if kind == "available" else func.max)(one[kind]).label(kind) for kind in MEMORY_KINDS),
        )
        .group_by(one.place)
        .order_by(one.place)
    )
    return [
        Stretch(
            row.pictures,
            row.cold,
            row.finished_at,
            row.mean_s,
            row.low_s,
            row.high_s,
            row.queue_wait_s,
            {kind: getattr(row, kind) for kind in MEMORY_KINDS},
        )
        for row in rows
    ]


def events(session: Session, batch_id: int | None) -> list[Event]:
    """Return what happened while a batch was made, or ever: loads, warm-ups, switches, the memory guard, losses."""
    found = _loads(session, batch_id) + _attempts(session, batch_id)
    if found or batch_id is None:
        found += _guard(session, batch_id)
    return sorted(found, key=lambda event: event.begin)


def _loads(session: Session, batch_id: int | None) -> list[Event]:
    query = select(Load).order_by(Load.id.desc()).limit(_MOST_EVENTS)
    if batch_id is not None:
        query = query.where(Load.id.in_(select(Attempt.load_id).where(Attempt.batch_id == batch_id)))
    found = []
    for load in session.scalars(query):
        warm_from = load.loaded_at - timedelta(seconds=load.warmup_s)
        before = session.scalar(
            select(Load.checkpoint)
            .where(Load.boot_id == load.boot_id, Load.id < load.id)
            .order_by(Load.id.desc())
            .limit(1)
        )
        is_switch = before is not None and before != load.checkpoint
        kind, word = (EventKind.SWITCH, "switched to") if is_switch else (EventKind.LOAD, "loaded")
        found += [
            Event(kind, warm_from - timedelta(seconds=load.load_s), warm_from, f"{word} {load.checkpoint}"),
            Event(EventKind.WARM_UP, warm_from, load.loaded_at, f"warmed up {load.checkpoint}"),
        ]
    return found


def _attempts(session: Session, batch_id: int | None) -> list[Event]:
    found: list[Event] = []
    for outcome, kind in ((Outcome.LOST, EventKind.LOST), (Outcome.FAILED, EventKind.FAILED)):
        query = select(Attempt).where(Attempt.outcome == outcome).order_by(Attempt.id.desc()).limit(_MOST_EVENTS)
        for attempt in session.scalars(query if batch_id is None else query.where(Attempt.batch_id == batch_id)):
            says = f"job {attempt.job_id}, attempt {attempt.number}: {attempt.cause or outcome}"
            found.append(Event(kind, attempt.started_at, attempt.finished_at or attempt.started_at, says))
    return found


def _guard(session: Session, batch_id: int | None) -> list[Event]:
    query = select(GuardAction).order_by(GuardAction.id.desc()).limit(_MOST_EVENTS)
    if batch_id is not None:
        of_batch = Attempt.batch_id == batch_id
        first, last = session.execute(
            select(func.min(Attempt.started_at), func.max(Attempt.finished_at)).where(of_batch)
        ).one()
        boots = select(Attempt.boot_id).where(of_batch)
        query = query.where(GuardAction.boot_id.in_(boots), GuardAction.taken_at.between(first, last or first))
    return [_guard_event(action) for action in session.scalars(query)]


def _guard_event(action: GuardAction) -> Event:
    # Its moment is when it was recorded: behind the step, but for a restart, which comes after.
    cost = timedelta(seconds=action.cost_s or 0)
    begin = action.taken_at if action.step == GuardStep.RESTART else action.taken_at - cost
    return Event(EventKind.GUARD, begin, begin + cost, f"memory guard: {action.step}")
