"""Reading how fast pictures were made: sums and percentiles computed by the database.

A million attempts are read in one pass of aggregates, load by load, and percentiles by an index; no more
rows come into Python than are shown. Steady state is every success that was not `cold`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from scipy.special import stdtrit
from sqlalchemy import ColumnElement, Float, and_, case, cast, func, select
from sqlalchemy.orm import Session

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
    fastest_s: float | None
    slowest_s: float | None
    gaps: int
    gap_s: float
    queue_wait_s: float
    longest_wait_s: float | None
    steps: float
    parts_s: dict[str, float]
    first_start: datetime | None
    last_finish: datetime | None
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
    def wall_s(self) -> float | None:
        """Seconds from the first start to the last finish, idle time included."""
        if self.first_start is None or self.last_finish is None:
            return None
        return (self.last_finish - self.first_start).total_seconds()

    @property
    def steps_per_s(self) -> float | None:
        """Denoising steps a second of denoising."""
        return self.steps / self.parts_s["denoise"] if self.parts_s["denoise"] else None


@dataclass(frozen=True)
class LoadSums:
    """A load, its boot, and the sums over what was made with it."""

    boot: Boot
    load: Load
    sums: Sums


def sums_by_load(session: Session, batch_id: int | None) -> list[LoadSums]:
    """Return, for each load that made something in scope, its sums; in order of time."""
    scope = Attempt.batch_id == batch_id if batch_id is not None else None
    found = []
    for load, boot in session.execute(select(Load, Boot).join(Boot).order_by(Load.id)).all():
        where = [Attempt.load_id == load.id, Attempt.outcome == Outcome.SUCCEEDED]
        sums = _sums(session, *where, *([scope] if scope is not None else []))
        if sums.count:
            found.append(LoadSums(boot, load, sums))
    return found


def add_up(parts: Iterable[Sums]) -> Sums | None:
    """Return the sums over all of `parts`, None if there are none."""
    total: Sums | None = None
    for part in parts:
        total = part if total is None else _add(total, part)
    return total


def steady_percentile(session: Session, batch_id: int | None, steady_count: int, share: float) -> float | None:
    """Return the `share` quantile of seconds a picture in steady state, by the nearest rank.

    The nearest rank is a picture's own time: the smallest that at least `share` of all do not exceed.
    """
    if steady_count == 0:
        return None
    rank = max(1, math.ceil(share * steady_count))
    query = (
        select(Attempt.total_s)
        .where(Attempt.outcome == Outcome.SUCCEEDED, Attempt.cold.is_(False))
        .order_by(Attempt.total_s)
        .limit(1)
        .offset(rank - 1)
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
    margin = float(stdtrit(seen - 1, 0.975)) * sums.deviation_s * factor * math.sqrt(pictures + pictures**2 / seen)
    return Estimate(pictures, seconds, max(0.0, seconds - margin), seconds + margin)


def history(
    session: Session, host: str, checkpoint: str, width: int, height: int, steps: int, scheduler: str
) -> tuple[Sums, float] | None:
    """Return this host's own sums for such jobs, and the factor that scales them to `steps`.

    Pictures of the same checkpoint, size, steps and scheduler are taken first; failing that, those of the
    same checkpoint and size, scaled by steps. None if there are none.
    """
    alike = [Boot.host == host, Job.checkpoint == checkpoint, Job.width == width, Job.height == height]
    for where in ([Job.steps == steps, Job.scheduler == scheduler], []):
        jobs = select(Job.id).where(*alike[1:], *where)
        boots = select(Boot.id).where(alike[0])
        conditions = (Attempt.outcome == Outcome.SUCCEEDED, Attempt.job_id.in_(jobs), Attempt.boot_id.in_(boots))
        # The last of them say most about the next; a bound keeps this fast over a long history.
        newest = select(Attempt.id).where(*conditions).order_by(Attempt.id.desc()).limit(1_000)
        sums = _sums(session, Attempt.id.in_(newest))
        if sums.steady_count:
            factor = 1.0 if where else steps * sums.steady_count / _steady_steps(session, newest.subquery().c.id)
            return sums, factor
    return None


def _steady_steps(session: Session, attempt_ids: ColumnElement[int]) -> int:
    query = (
        select(func.sum(Job.steps)).join(Attempt).where(Attempt.id.in_(select(attempt_ids)), Attempt.cold.is_(False))
    )
    return session.scalar(query) or 1


def _sums(session: Session, *where: ColumnElement[bool]) -> Sums:
    total = cast(Attempt.total_s, Float)
    steady = Attempt.cold.is_(False)
    columns = {
        "count": func.count(),
        "busy_s": func.coalesce(func.sum(total), 0.0),
        "steady_count": func.count(case((steady, 1))),
        "steady_s": func.coalesce(func.sum(case((steady, total))), 0.0),
        "steady_squares": func.coalesce(func.sum(case((steady, total * total))), 0.0),
        "fastest_s": func.min(case((steady, total))),
        "slowest_s": func.max(case((steady, total))),
        "gaps": func.count(Attempt.gap_s),
        "gap_s": func.coalesce(func.sum(Attempt.gap_s), 0.0),
        "queue_wait_s": func.coalesce(func.sum(Attempt.queue_wait_s), 0.0),
        "longest_wait_s": func.max(Attempt.queue_wait_s),
        "steps": func.coalesce(func.sum(Attempt.steps_per_s * Attempt.denoise_s), 0.0),
        "first_start": func.min(Attempt.started_at),
        "last_finish": func.max(Attempt.finished_at),
        "first_id": func.min(Attempt.id),
        "last_id": func.max(Attempt.id),
        "picture_bytes": func.coalesce(func.sum(Attempt.picture_bytes), 0),
    }
    columns |= {f"{part}_s": func.coalesce(func.sum(getattr(Attempt, f"{part}_s")), 0.0) for part in PARTS}
    columns |= {
        f"{kind}_worst": (func.min if kind == "available" else func.max)(getattr(Attempt, f"{kind}_{worst}_bytes"))
        for kind, worst in _WORST.items()
    }
    row = session.execute(select(*(c.label(name) for name, c in columns.items())).where(and_(*where))).one()._mapping
    return Sums(
        cold=row["count"] - row["steady_count"],
        parts_s={part: row[f"{part}_s"] for part in PARTS},
        memory_peaks={kind: row[f"{kind}_worst"] for kind in MEMORY_KINDS},
        **{name: row[name] for name in columns if name in Sums.__dataclass_fields__},
    )


def _add(a: Sums, b: Sums) -> Sums:
    def pick(choose: object, *values: object) -> object:
        present = [value for value in values if value is not None]
        return choose(present) if present and callable(choose) else None

    chosen = {
        "fastest_s": min,
        "first_start": min,
        "first_id": min,
        "slowest_s": max,
        "longest_wait_s": max,
        "last_finish": max,
        "last_id": max,
    }
    fields: dict[str, object] = {}
    for name in Sums.__dataclass_fields__:
        x, y = getattr(a, name), getattr(b, name)
        if name == "parts_s":
            fields[name] = {part: x[part] + y[part] for part in PARTS}
        elif name == "memory_peaks":
            fields[name] = {k: pick(min if k == "available" else max, x[k], y[k]) for k in MEMORY_KINDS}
        else:
            fields[name] = pick(chosen[name], x, y) if name in chosen else x + y
    return Sums(**fields)  # type: ignore[arg-type]
