"""Reading whether a boot's memory grows with the pictures that it makes."""

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean, linear_regression

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.records.tables import Attempt

#: A boot's first jobs, in which memory still finds its level: caches fill, kernels are compiled.
SETTLING_JOBS = 10
#: Kinds of memory that show what a process does not give back.
TREND_KINDS = ("rss", "device_allocated", "device_driver", "swap")
#: A line through fewer pictures says more of chance than of memory.
FEWEST_PICTURES = 20
#: Newest pictures that are looked at: a long boot must not make this slow.
_TAKEN = 1_000
_AFTER = tuple(f"{kind}_after_bytes" for kind in TREND_KINDS)


@dataclass(frozen=True)
class MemoryTrend:
    """What memory grew by over a boot's pictures, by least squares."""

    boot: int
    #: How many pictures the lines go through.
    pictures: int
    #: Bytes per 100 pictures by kind of memory; None where it was not measured.
    per_100_pictures: dict[str, float | None]


def memory_trend(session: Session, boot_id: int, first_id: int, last_id: int) -> MemoryTrend | None:
    """Return the trend over the boot's newest pictures from one attempt to another, None below 20 of them.

    The boot's first 10 attempts are left out. A load sets memory to another level, which is no growth: each load's
    pictures have a line of their own, and all lines the same slope.
    """
    attempts = select(Attempt.id).where(Attempt.boot_id == boot_id).order_by(Attempt.id)
    settled = attempts.limit(1).offset(SETTLING_JOBS - 1).scalar_subquery()
    rows = session.execute(
        select(Attempt.load_id, *(getattr(Attempt, name) for name in _AFTER))
        # Only successes have a total; asked for by outcome, an index of all of them would be walked instead.
        .where(Attempt.boot_id == boot_id, Attempt.id > settled, Attempt.total_s.is_not(None))
        .where(Attempt.id.between(first_id, last_id))
        .order_by(Attempt.id.desc())
        .limit(_TAKEN)
    ).all()
    if len(rows) < FEWEST_PICTURES:
        return None
    growth = {}
    for column, kind in enumerate(TREND_KINDS, start=1):
        places = enumerate(reversed(rows))
        slope = _slope([(row[0], place, row[column]) for place, row in places if row[column] is not None])
        growth[kind] = None if slope is None else 100 * slope
    return MemoryTrend(boot_id, len(rows), growth)


def _slope(points: list[tuple[int, int, int]]) -> float | None:
    """Return the slope that the lines of all loads share, from (load, place, bytes); None below 20 points."""
    by_load = defaultdict(list)
    for load_id, place, count in points:
        by_load[load_id].append((place, count))
    places: list[float] = []
    counts: list[float] = []
    for part in by_load.values():
        # One picture has no slope, and about its mean it lies at nothing.
        if len(part) > 1:
            mean_place, mean_count = (fmean(values) for values in zip(*part, strict=True))
            places += [place - mean_place for place, _ in part]
            counts += [count - mean_count for _, count in part]
    return linear_regression(places, counts, proportional=True).slope if len(places) >= FEWEST_PICTURES else None
