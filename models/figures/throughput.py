"""Reading how fast pictures were made, load by load, and percentiles by an index.

A million attempts are read in one pass of aggregates; no more rows come into Python than are shown.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from itertools import pairwise
from operator import add

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from models.figures.hardware import KnownLoad, known_loads
from models.figures.sums import Sums, read_sums, sums_queries
from models.records.tables import Attempt
from models.types.measurement import MEMORY_KINDS
from models.types.states import Outcome

#: Seconds that the network may move the time of day by over a night, little by little.
_SLEW_S = 5.0


@dataclass(frozen=True)
class LoadSums:
    """A load, and the sums over what was made with it."""

    load: KnownLoad
    sums: Sums


def sums_by_load(session: Session, batch_id: int | None) -> list[LoadSums]:
    """Return, for each load that made something in scope, its sums; in order of time."""
    scope = [Attempt.load_id == bindparam("load_id"), Attempt.outcome == Outcome.SUCCEEDED]
    if batch_id is not None:
        scope.append(Attempt.batch_id == batch_id)
    queries = sums_queries(*scope)
    found = []
    for load in known_loads(session):
        sums = read_sums(session, queries, load_id=load.id)
        if sums.count:
            found.append(LoadSums(load, sums))
    return found


def add_up(parts: Iterable[Sums]) -> Sums | None:
    """Return the sums over all of `parts`, None if there are none."""
    all_parts = list(parts)
    return reduce(add, all_parts) if all_parts else None


def wall_seconds(loads: Sequence[LoadSums]) -> float | None:
    """Return the seconds from the first start to the last finish of what these loads made, idle time included.

    They are of the boots' own clock where they have one in common. Where they have not, the time of day decides, and
    None is returned where that contradicts itself: it was set while pictures were made, or in between.
    """
    by_clock: dict[object, list[LoadSums]] = {}
    for load in loads:
        read = load.sums.first_s is not None and load.sums.last_s is not None
        by_clock.setdefault((load.load.clock if read else None) or load.load.boot_id, []).append(load)
    spans = [_span(group) for group in by_clock.values()]
    if len(spans) == 1 and spans[0].exact_s is not None:
        return spans[0].exact_s
    if not spans or not all(span.is_consistent for span in spans):
        return None
    for before, after in pairwise(spans):
        # The holders of one lock come after one another.
        if before.lock_uid == after.lock_uid and after.first_start < before.last_finish:
            return None
    whole = max(span.last_finish for span in spans) - min(span.first_start for span in spans)
    return whole.total_seconds()


@dataclass(frozen=True)
class _Span:
    """What was made by one clock, by the time of day and by that clock."""

    first_start: datetime
    last_finish: datetime
    exact_s: float | None
    busy_s: float
    lock_uid: str | None

    @property
    def is_consistent(self) -> bool:
        told_s = (self.last_finish - self.first_start).total_seconds()
        if self.exact_s is None:
            # Of one boot, then, which makes one picture at a time.
            return told_s + _SLEW_S > self.busy_s
        return abs(told_s - self.exact_s) < _SLEW_S


def _span(loads: Sequence[LoadSums]) -> _Span:
    sums = add_up(load.sums for load in loads)
    assert sums is not None
    assert sums.first_start is not None
    assert sums.last_finish is not None
    exact_s = None if sums.first_s is None or sums.last_s is None else sums.last_s - sums.first_s
    return _Span(sums.first_start, sums.last_finish, exact_s, sums.busy_s, loads[-1].load.lock_uid)


@dataclass(frozen=True)
class SteadyState:
    """The pictures in steady state of one batch, or of all, and how many there are."""

    batch_id: int | None
    pictures: int


def steady_percentile(session: Session, steady: SteadyState, share: float) -> float | None:
    """Return the `share` quantile of seconds a picture in steady state, by the nearest rank.

    The nearest rank is a picture's own time: the smallest that at least `share` of all do not exceed.
    """
    if steady.pictures == 0:
        return None
    rank = max(1, math.ceil(share * steady.pictures))
    # From the nearer end: the database walks along an index that is in this order.
    order, skipped = (Attempt.total_s, rank - 1) if share <= 0.5 else (Attempt.total_s.desc(), steady.pictures - rank)
    query = (
        select(Attempt.total_s)
        .where(Attempt.outcome == Outcome.SUCCEEDED, Attempt.cold.is_(False))
        .order_by(order)
        .limit(1)
        .offset(skipped)
    )
    return session.scalar(query if steady.batch_id is None else query.where(Attempt.batch_id == steady.batch_id))


@dataclass(frozen=True)
class MemoryFigures:
    """One kind of memory over a scope, in bytes: before its first picture, at its worst, after its last."""

    kind: str
    source: str | None
    before: int | None
    peak: int | None
    after: int | None


def memory_figures(session: Session, sums: Sums, sources: Mapping[str, str]) -> list[MemoryFigures]:
    """Return each kind of memory before the first picture of `sums`, at its worst, and after the last."""
    if sums.first_id is None or sums.last_id is None:
        return []
    first = session.get_one(Attempt, sums.first_id)
    last = session.get_one(Attempt, sums.last_id)
    return [
        MemoryFigures(
            kind,
            sources.get(kind),
            getattr(first, f"{kind}_before_bytes"),
            sums.memory_peaks[kind],
            getattr(last, f"{kind}_after_bytes"),
        )
        for kind in MEMORY_KINDS
    ]
