"""Reading how fast pictures were made: sums and percentiles computed by the database.

A million attempts are read in one pass of aggregates, load by load, and percentiles by an index; no more
rows come into Python than are shown. Steady state is every success that was not `cold`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import NormalDist, fmean
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, cast, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from models.measurement import MEMORY_KINDS
from models.states import Outcome
from models.tables import Attempt, Boot, Job, Load

#: Parts of an attempt, in their order.
PARTS = ("encode", "denoise", "decode", "check", "save")
#: Column suffix of the worst reading of each kind of memory.
_WORST = {kind: "lowest" if kind == "available" else "peak" for kind in MEMORY_KINDS}


@dataclass(frozen=True)
class MemoryFigures:
    """One kind of memory over a scope, in bytes: before its first picture, at its worst, after its last."""

    kind: str
    source: str | None
    before: int | None
    peak: int | None
    after: int | None


@dataclass(frozen=True)
class Sums:
    """Sums over successes; those of one scope add up to those of a wider one."""

    count: int
    cold: int
    busy_s: float
    steady_count: int
    steady_s: float
    steady_squares: float
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
    picture_bytes: int

    @property
    def mean_s(self) -> float | None:
        """Seconds a picture in steady state."""
        return self.steady_s / self.steady_count if self.steady_count else None

    @property
    def mean_gap_s(self) -> float | None:
        """Seconds from one picture to the next where that one was waiting."""
        return self.gap_s / self.gaps if self.gaps else None

    @property
    def deviation_s(self) -> float | None:
        """Sample standard deviation of seconds a picture in steady state; None below two pictures."""
        if self.steady_count < 2:
            return None
        spread = self.steady_squares - self.steady_s**2 / self.steady_count
        return math.sqrt(max(0.0, spread) / (self.steady_count - 1))

    @property
    def mean_wait_s(self) -> float | None:
        """Seconds that a job waited in the queue."""
        return self.queue_wait_s / self.waits if self.waits else None

    @property
    def steps_per_s(self) -> float | None:
        """Denoising steps a second of denoising."""
        denoise_s = self.parts_s["denoise"]
        return self.steps / denoise_s if self.steps and denoise_s else None


#: Seconds that the network may move the time of day by over a night, little by little.
_SLEW_S = 5.0

#: How far back `history` looks, and how many of what it finds it takes.
_LOOKED_AT, _TAKEN = 100_000, 1_000

#: Columns of a query whose names and values a `Sums` takes over.
_AS_THEY_ARE = (
    *("count", "busy_s", "gaps", "gap_s", "waits", "queue_wait_s", "longest_wait_s", "steps"),
    *("first_start", "last_finish", "first_s", "last_s", "first_id", "last_id", "picture_bytes"),
)


@dataclass(frozen=True)
class LoadSums:
    """A load, its boot, and the sums over what was made with it."""

    boot: Boot
    load: Load
    sums: Sums


def sums_by_load(session: Session, batch_id: int | None) -> list[LoadSums]:
    """Return, for each load that made something in scope, its sums; in order of time."""
    scope = [Attempt.load_id == bindparam("load_id"), Attempt.outcome == Outcome.SUCCEEDED]
    if batch_id is not None:
        scope.append(Attempt.batch_id == batch_id)
    queries = _sums_queries(*scope)
    found = []
    for load, boot in session.execute(select(Load, Boot).join(Boot).order_by(Load.id)):
        sums = _sums(session, queries, load_id=load.id)
        if sums.count:
            found.append(LoadSums(boot, load, sums))
    return found


@dataclass(frozen=True)
class Pace:
    """A device's pace with a checkpoint, in steady state."""

    device_name: str
    device: str
    dtype: str
    checkpoint: str
    pictures: int
    mean_s: float
    rss_peak_bytes: int | None
    device_peak_bytes: int | None


def pace_by_device(session: Session) -> list[Pace]:
    """Return the pace of each device with each checkpoint over the newest pictures of each load.

    There is none where only one device has made pictures.
    """
    grouped: dict[tuple[str, str, str, str], list[tuple[int, float, int | None, int | None]]] = {}
    for load, boot in session.execute(select(Load, Boot).join(Boot).order_by(Load.id)):
        newest = (
            select(Attempt.total_s, Attempt.rss_peak_bytes, Attempt.device_driver_peak_bytes)
            .where(Attempt.load_id == load.id, Attempt.outcome == Outcome.SUCCEEDED, Attempt.cold.is_(False))
            .order_by(Attempt.id.desc())
            .limit(_TAKEN)
            .subquery()
            .c
        )
        query = select(
            func.count(),
            func.sum(newest.total_s),
            func.max(newest.rss_peak_bytes),
            func.max(newest.device_driver_peak_bytes),
        )
        row = session.execute(query).one()
        if row[0]:
            grouped.setdefault((boot.device_name, boot.device, boot.dtype, load.checkpoint), []).append(row)
    if len({key[:3] for key in grouped}) < 2:
        return []
    paces = []
    for key, rows in grouped.items():
        counts, totals, *peaks = zip(*rows, strict=True)
        rss, driver = (max((peak for peak in column if peak is not None), default=None) for column in peaks)
        paces.append(Pace(*key, sum(counts), sum(totals) / sum(counts), rss, driver))
    return paces


def add_up(parts: Iterable[Sums]) -> Sums | None:
    """Return the sums over all of `parts`, None if there are none."""
    total: Sums | None = None
    for part in parts:
        total = part if total is None else _add(total, part)
    return total


def wall_seconds(loads: Sequence[LoadSums]) -> float | None:
    """Return the seconds from the first start to the last finish of what these loads made, idle time included.

    They are of the boots' own clock where they have one in common. Where they have not, the time of day decides, and
    None is returned where that contradicts itself: it was set while pictures were made, or in between.
    """
    by_clock: dict[object, list[LoadSums]] = {}
    for load in loads:
        read = load.sums.first_s is not None and load.sums.last_s is not None
        by_clock.setdefault((load.boot.clock if read else None) or load.boot.id, []).append(load)
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
    return _Span(sums.first_start, sums.last_finish, exact_s, sums.busy_s, loads[-1].boot.lock_uid)


def steady_percentile(session: Session, batch_id: int | None, steady_count: int, share: float) -> float | None:
    """Return the `share` quantile of seconds a picture in steady state, by the nearest rank.

    The nearest rank is a picture's own time: the smallest that at least `share` of all do not exceed.
    """
    if steady_count == 0:
        return None
    rank = max(1, math.ceil(share * steady_count))
    # From the nearer end: the database walks along an index that is in this order.
    order, skipped = (Attempt.total_s, rank - 1) if share <= 0.5 else (Attempt.total_s.desc(), steady_count - rank)
    query = (
        select(Attempt.total_s)
        .where(Attempt.outcome == Outcome.SUCCEEDED, Attempt.cold.is_(False))
        .order_by(order)
        .limit(1)
        .offset(skipped)
    )
    return session.scalar(query if batch_id is None else query.where(Attempt.batch_id == batch_id))


def memory_figures(session: Session, sums: Sums, sources: dict[str, str]) -> list[MemoryFigures]:
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


@dataclass(frozen=True)
class Estimate:
    """Seconds that a number of pictures will take, and the range that 95 of 100 such runs fall into."""

    pictures: int
    seconds: float
    low_s: float | None
    high_s: float | None


def estimate(sums: Sums, pictures: int, factor: float = 1.0) -> Estimate | None:
    """Return how long `pictures` will take at the pace of `sums`, None where nothing was measured.

    The range is the 95 % prediction interval of a sum of n further values after m observed ones,
    n * mean +- t(m-1) * s * sqrt(n + n^2 / m); none below three observed values. `factor` scales the pace.
    """
    if sums.mean_s is None:
        return None
    # The gap between two pictures is no part of either, but of every night.
    seconds = pictures * (sums.mean_s * factor + (sums.mean_gap_s or 0.0))
    seen = sums.steady_count
    if sums.deviation_s is None or seen < 3:
        return Estimate(pictures, seconds, None, None)
    margin = _t_quantile(seen - 1) * sums.deviation_s * factor * math.sqrt(pictures + pictures**2 / seen)
    return Estimate(pictures, seconds, max(0.0, seconds - margin), seconds + margin)


def history(
    session: Session, host: str, checkpoint: str, width: int, height: int, steps: int, scheduler: str
) -> tuple[Sums, float] | None:
    """Return this host's own sums for such jobs, and the factor that scales them to `steps`.

    Pictures of the same checkpoint, size, steps and scheduler are taken first; failing that, those of the
    same checkpoint and size, scaled by steps. None if there are none. Only the newest attempts are looked
    at: they say most about the next, and a long history must not make this slow.
    """
    last = session.scalar(select(func.max(Attempt.id))) or 0
    alike = (Boot.host == host, Job.checkpoint == checkpoint, Job.width == width, Job.height == height)
    for closer in ((Job.steps == steps, Job.scheduler == scheduler), ()):
        # Only successes have a total; asked for by outcome, an index of all of them would be walked instead.
        newest = session.execute(
            select(Attempt.id, Job.steps)
            .join(Job, Attempt.job_id == Job.id)
            .join(Boot, Attempt.boot_id == Boot.id)
            .where(Attempt.id > last - _LOOKED_AT, Attempt.total_s.is_not(None), *alike, *closer)
            .order_by(Attempt.id.desc())
            .limit(_TAKEN)
        ).all()
        sums = _sums(session, _sums_queries(Attempt.id.in_([row.id for row in newest])))
        if sums.steady_count:
            return sums, 1.0 if closer else steps / fmean(row.steps for row in newest)
    return None


def _sums_queries(*where: ColumnElement[bool]) -> tuple[Select[Any], Select[Any]]:
    """Return what sums up steady state and what sums up the rest, for `_sums`.

    Two queries along an index are cheaper than deciding row by row, and building them takes longer than a
    query of few rows, so they are built once for all loads.
    """
    columns: dict[str, ColumnElement[Any]] = {
        "count": func.count(),
        "busy_s": func.coalesce(func.sum(Attempt.total_s), 0.0),
        "squares": func.coalesce(func.sum(Attempt.total_s * Attempt.total_s), 0.0),
        "gaps": func.count(Attempt.gap_s),
        "gap_s": func.coalesce(func.sum(Attempt.gap_s), 0.0),
        "waits": func.count(Attempt.queue_wait_s),
        "queue_wait_s": func.coalesce(func.sum(Attempt.queue_wait_s), 0.0),
        "longest_wait_s": func.max(Attempt.queue_wait_s),
        "steps": func.coalesce(func.sum(Attempt.steps_per_s * Attempt.denoise_s), 0.0),
        # PostgreSQL sums such integers up to a decimal.
        "picture_bytes": cast(func.coalesce(func.sum(Attempt.picture_bytes), 0), BigInteger),
    }
    columns |= {f"{part}_s": func.sum(getattr(Attempt, f"{part}_s")) for part in PARTS}
    columns |= {
        f"{kind}_worst": (func.min if kind == "available" else func.max)(getattr(Attempt, f"{kind}_{worst}_bytes"))
        for kind, worst in _WORST.items()
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


def _sums(session: Session, queries: tuple[Select[Any], Select[Any]], **values: object) -> Sums:
    steady, cold = (session.execute(query, values).one()._asdict() for query in queries)
    return _add(_as_sums(steady, cold=False), _as_sums(cold, cold=True))


def _as_sums(row: dict[str, Any], *, cold: bool) -> Sums:
    return Sums(
        cold=row["count"] if cold else 0,
        steady_count=0 if cold else row["count"],
        steady_s=0.0 if cold else row["busy_s"],
        steady_squares=0.0 if cold else row["squares"],
        parts_s={part: row[f"{part}_s"] for part in PARTS},
        memory_peaks={kind: row[f"{kind}_worst"] for kind in MEMORY_KINDS},
        **{name: row[name] for name in _AS_THEY_ARE},
    )


def _add(a: Sums, b: Sums) -> Sums:
    def pick(choose: object, *values: object) -> object:
        present = [value for value in values if value is not None]
        return choose(present) if present and callable(choose) else None

    chosen = {
        "first_start": min,
        "first_s": min,
        "last_s": max,
        "first_id": min,
        "longest_wait_s": max,
        "last_finish": max,
        "last_id": max,
    }
    fields: dict[str, object] = {}
    for name in Sums.__dataclass_fields__:
        x, y = getattr(a, name), getattr(b, name)
        if name == "parts_s":
            fields[name] = {part: pick(sum, x[part], y[part]) for part in PARTS}
        elif name == "memory_peaks":
            fields[name] = {k: pick(min if k == "available" else max, x[k], y[k]) for k in MEMORY_KINDS}
        else:
            fields[name] = pick(chosen[name], x, y) if name in chosen else x + y
    return Sums(**fields)  # type: ignore[arg-type]


def _t_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t, by the expansion of Abramowitz and Stegun 26.7.5.

    It is within 0.8 % of the exact value at two degrees of freedom and within 0.02 % from five on. scipy has
    it exactly, but takes a fifth of the report's time to import.
    """
    z = NormalDist().inv_cdf(0.975)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    quantile: float = z + sum(term / freedom**power for power, term in enumerate(terms, start=1))
    return quantile
