"""Sums over attempts that succeeded, computed by the database, from which the figures of a report follow.

Steady state is every success that was not `cold`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, cast, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from models.records.tables import Attempt
from models.types.measurement import MEMORY_KINDS, PARTS

#: Column suffix of the worst reading of each kind of memory.
WORST = {kind: "lowest" if kind == "available" else "peak" for kind in MEMORY_KINDS}
#: Columns of a query whose names and values a `Sums` takes over.
_AS_THEY_ARE = (
    *("count", "calls", "switches", "switch_s", "busy_s", "slept_s", "gaps", "gap_s", "waits", "queue_wait_s"),
    *("longest_wait_s", "steps", "first_start", "last_finish", "first_s", "last_s", "first_id", "last_id"),
    *("picture_bytes", "memory_pressure"),
)


@dataclass(frozen=True)
class Sums:
    """Sums over successes; those of one scope add up to those of a wider one."""

    count: int
    #: Of the device; where a picture was made together with others, its share of one.
    calls: float
    #: To other LoRAs, or to none, and what that took.
    switches: float
    switch_s: float
    cold: int
    busy_s: float
    #: None where none of the pictures has it measured.
    slept_s: float | None
    steady_count: int
    steady_s: float
    steady_min_s: float | None
    steady_max_s: float | None
    gaps: int
    gap_s: float
    #: Of so many whose wait is known.
    waits: int
    queue_wait_s: float
    longest_wait_s: float | None
    steps: float
    #: By part; None where none of the pictures has it measured.
    parts_s: dict[str, float | None]
    first_start: datetime | None
    last_finish: datetime | None
    #: The same two on the boots' clock, which is to be one if this is to mean something.
    first_s: float | None
    last_s: float | None
    first_id: int | None
    last_id: int | None
    memory_peaks: dict[str, int | None]
    #: The worst; None where the system has no word for it.
    memory_pressure: int | None
    picture_bytes: int

    def __add__(self, other: "Sums") -> "Sums":
        """Return the sums over both."""
        return Sums(
            count=self.count + other.count,
            calls=self.calls + other.calls,
            switches=self.switches + other.switches,
            switch_s=self.switch_s + other.switch_s,
            cold=self.cold + other.cold,
            busy_s=self.busy_s + other.busy_s,
            slept_s=_of_both(_plus, self.slept_s, other.slept_s),
            steady_count=self.steady_count + other.steady_count,
            steady_s=self.steady_s + other.steady_s,
            steady_min_s=_of_both(min, self.steady_min_s, other.steady_min_s),
            steady_max_s=_of_both(max, self.steady_max_s, other.steady_max_s),
            gaps=self.gaps + other.gaps,
            gap_s=self.gap_s + other.gap_s,
            waits=self.waits + other.waits,
            queue_wait_s=self.queue_wait_s + other.queue_wait_s,
            longest_wait_s=_of_both(max, self.longest_wait_s, other.longest_wait_s),
            steps=self.steps + other.steps,
            parts_s={part: _of_both(_plus, self.parts_s[part], other.parts_s[part]) for part in PARTS},
            first_start=_of_both(min, self.first_start, other.first_start),
            last_finish=_of_both(max, self.last_finish, other.last_finish),
            first_s=_of_both(min, self.first_s, other.first_s),
            last_s=_of_both(max, self.last_s, other.last_s),
            first_id=_of_both(min, self.first_id, other.first_id),
            last_id=_of_both(max, self.last_id, other.last_id),
            memory_peaks={
                kind: _of_both(min if kind == "available" else max, self.memory_peaks[kind], other.memory_peaks[kind])
                for kind in MEMORY_KINDS
            },
            memory_pressure=_of_both(max, self.memory_pressure, other.memory_pressure),
            picture_bytes=self.picture_bytes + other.picture_bytes,
        )

    @property
    def mean_s(self) -> float | None:
        """Seconds a picture in steady state."""
        return self.steady_s / self.steady_count if self.steady_count else None

    @property
    def pictures_a_call(self) -> float | None:
        """Pictures made in one call of the device, in the mean of those calls."""
        return self.count / self.calls if self.calls else None

    @property
    def mean_gap_s(self) -> float | None:
        """Seconds from one picture to the next where that one was waiting."""
        return self.gap_s / self.gaps if self.gaps else None

    @property
    def busy_share(self) -> float | None:
        """Share of the time that a device was busy, while pictures were waiting to be made."""
        busy_s, gap_s = self.busy_s / self.count, self.mean_gap_s
        return None if gap_s is None or not busy_s else busy_s / (busy_s + gap_s)

    @property
    def mean_wait_s(self) -> float | None:
        """Seconds that a job waited in the queue."""
        return self.queue_wait_s / self.waits if self.waits else None

    @property
    def steps_per_s(self) -> float | None:
        """Denoising steps a second of denoising."""
        denoise_s = self.parts_s["denoise"]
        return self.steps / denoise_s if self.steps and denoise_s else None


def _plus(a: float, b: float) -> float:
    return a + b


def _of_both(choose: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """Return what is chosen of two values, or the one that is there."""
    if a is None or b is None:
        return b if a is None else a
    return choose(a, b)


def sums_queries(*where: ColumnElement[bool]) -> tuple[Select[Any], Select[Any]]:
    """Return what sums up steady state and what sums up the rest, for `read_sums`.

    Two queries along an index are cheaper than deciding row by row, and building them takes longer than a
    query of few rows, so they are built once for all loads.
    """
    # Rows of a version that made one at a time do not say so.
    share = 1.0 / func.coalesce(Attempt.pictures_a_call, 1)
    columns: dict[str, ColumnElement[Any]] = {
        "count": func.count(),
        "calls": func.coalesce(func.sum(share), 0.0),
        "switches": func.coalesce(func.sum(share).filter(Attempt.switch_s.is_not(None)), 0.0),
        "switch_s": func.coalesce(func.sum(Attempt.switch_s), 0.0),
        "busy_s": func.coalesce(func.sum(Attempt.total_s), 0.0),
        "min_s": func.min(Attempt.total_s),
        "max_s": func.max(Attempt.total_s),
        "slept_s": func.sum(Attempt.slept_s),
        "gaps": func.count(Attempt.gap_s),
        "gap_s": func.coalesce(func.sum(Attempt.gap_s), 0.0),
        "waits": func.count(Attempt.queue_wait_s),
        "queue_wait_s": func.coalesce(func.sum(Attempt.queue_wait_s), 0.0),
        "longest_wait_s": func.max(Attempt.queue_wait_s),
        "steps": func.coalesce(func.sum(Attempt.steps_per_s * Attempt.denoise_s), 0.0),
        "memory_pressure": func.max(Attempt.memory_pressure),
        # PostgreSQL sums such integers up to a decimal.
        "picture_bytes": cast(func.coalesce(func.sum(Attempt.picture_bytes), 0), BigInteger),
    }
    columns |= {f"{part}_s": func.sum(getattr(Attempt, f"{part}_s")) for part in PARTS}
    columns |= {
        f"{kind}_worst": (func.min if kind == "available" else func.max)(getattr(Attempt, f"{kind}_{worst}_bytes"))
        for kind, worst in WORST.items()
    }

    def query(*scope: ColumnElement[bool]) -> Select[Any]:
        # Attempts of a load are numbered as they start and end in that order, so an index has both ends at hand;
        # the least and greatest time of day would be looked for row by row.
        def end(column: InstrumentedAttribute[Any], order: ColumnElement[int]) -> ColumnElement[Any]:
            return select(column).where(*scope).order_by(order).limit(1).correlate(None).scalar_subquery()

        first, last = Attempt.id.asc(), Attempt.id.desc()
        ends = {"first_id": end(Attempt.id, first), "first_start": end(Attempt.started_at, first)}
        ends |= {"first_s": end(Attempt.started_s, first), "last_s": end(Attempt.finished_s, last)}
        ends |= {"last_id": end(Attempt.id, last), "last_finish": end(Attempt.finished_at, last)}
        return select(*(column.label(name) for name, column in (columns | ends).items())).where(*scope)

    return query(*where, Attempt.cold.is_(False)), query(*where, Attempt.cold.is_(True))


def read_sums(session: Session, queries: tuple[Select[Any], Select[Any]], **values: object) -> Sums:
    """Return the sums that `sums_queries` ask for; `values` fill in what the scope left open."""
    steady, cold = (session.execute(query, values).one()._asdict() for query in queries)
    return _as_sums(steady, cold=False) + _as_sums(cold, cold=True)


def _as_sums(row: dict[str, Any], *, cold: bool) -> Sums:
    return Sums(
        cold=row["count"] if cold else 0,
        steady_count=0 if cold else row["count"],
        steady_s=0.0 if cold else row["busy_s"],
        steady_min_s=None if cold else row["min_s"],
        steady_max_s=None if cold else row["max_s"],
        parts_s={part: row[f"{part}_s"] for part in PARTS},
        memory_peaks={kind: row[f"{kind}_worst"] for kind in MEMORY_KINDS},
        **{name: row[name] for name in _AS_THEY_ARE},
    )
