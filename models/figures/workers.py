"""Reading who made what: the workers of a batch, or of everything, side by side."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from models.figures.throughput import LoadSums, add_up, wall_seconds
from models.records.tables import Attempt, Boot
from models.types.states import Outcome


@dataclass(frozen=True)
class WorkerFigures:
    """What a worker did, over all of its boots; a worker is a device of a host."""

    host: str
    device: str
    device_name: str
    pictures: int
    #: Seconds from the start of its first picture to the end of its last, None where its clocks contradict each other.
    span_s: float | None
    per_hour: float | None
    #: The device's share of that time.
    busy_share: float | None
    #: Attempts that it did not settle: it went away, or gave their jobs back.
    lost: int
    #: Pictures that it made of jobs which others had lost, by those others: `device of host`.
    taken_over: dict[str, int]


#: A worker by what its boots have in common: its device's lock, or what rows of a version without locks say.
_Worker = tuple[str, str, str | None]


def worker_figures(session: Session, batch_id: int | None, loads: Iterable[LoadSums]) -> list[WorkerFigures]:
    """Return the workers that made something or lost something in scope, by host and device."""
    by_worker: dict[_Worker, list[LoadSums]] = {}
    names: dict[_Worker, str] = {}
    for one in loads:
        worker = (one.load.host, one.load.device, one.load.lock_uid)
        by_worker.setdefault(worker, []).append(one)
        names[worker] = one.load.device_name
    lost = _lost(session, batch_id, names)
    taken_over = _taken_over(session, batch_id)
    return [
        _figures(worker, name, by_worker.get(worker, []), lost.get(worker, 0), taken_over.get(worker, {}))
        for worker, name in sorted(names.items(), key=lambda one: one[0][:2])
    ]


def _figures(worker: _Worker, name: str, loads: list[LoadSums], lost: int, taken_over: dict[str, int]) -> WorkerFigures:
    sums = add_up(one.sums for one in loads)
    span_s = wall_seconds(loads) if sums else None
    pictures = sums.count if sums else 0
    return WorkerFigures(
        host=worker[0],
        device=worker[1],
        device_name=name,
        pictures=pictures,
        span_s=span_s,
        per_hour=3600 * pictures / span_s if span_s else None,
        busy_share=sums.busy_s / span_s if sums and span_s else None,
        lost=lost,
        taken_over=taken_over,
    )


def _lost(session: Session, batch_id: int | None, names: dict[_Worker, str]) -> dict[_Worker, int]:
    """Return how many attempts each lost, and add to `names` those who made nothing."""
    columns = (Boot.host, Boot.device, Boot.lock_uid)
    query = (
        select(*columns, func.max(Boot.device_name), func.count())
        .join(Attempt, Attempt.boot_id == Boot.id)
        .where(Attempt.outcome == Outcome.LOST)
        .group_by(*columns)
    )
    if batch_id is not None:
        query = query.where(Attempt.batch_id == batch_id)
    found = {}
    for host, device, lock_uid, name, count in session.execute(query):
        found[host, device, lock_uid] = count
        names.setdefault((host, device, lock_uid), name)
    return found


def _taken_over(session: Session, batch_id: int | None) -> dict[_Worker, dict[str, int]]:
    """Return, by who made them, how many jobs another worker had lost in the attempt before."""
    before, loser, maker = aliased(Attempt), aliased(Boot), aliased(Boot)
    query = (
        select(maker.host, maker.device, maker.lock_uid, loser.host, loser.device, func.count())
        .select_from(Attempt)
        .join(before, (before.job_id == Attempt.job_id) & (before.number == Attempt.number - 1))
        .join(maker, maker.id == Attempt.boot_id)
        .join(loser, loser.id == before.boot_id)
        .where(
            Attempt.outcome == Outcome.SUCCEEDED,
            before.outcome == Outcome.LOST,
            maker.lock_uid.is_distinct_from(loser.lock_uid),
        )
        .group_by(maker.host, maker.device, maker.lock_uid, loser.host, loser.device)
    )
    if batch_id is not None:
        query = query.where(Attempt.batch_id == batch_id)
    found: dict[_Worker, dict[str, int]] = {}
    for host, device, lock_uid, of_host, of_device, count in session.execute(query):
        found.setdefault((host, device, lock_uid), {})[f"{of_device} of {of_host}"] = count
    return found
