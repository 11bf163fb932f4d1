"""How long pictures will take, by what was measured of others."""

import math
from dataclasses import dataclass
from statistics import NormalDist, fmean

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.sums import Sums, read_sums, sums_queries
from models.tables import Attempt, Boot, Job, Load

#: How far back `history` looks, and how many of what it finds it takes.
_LOOKED_AT, _TAKEN = 100_000, 1_000


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


@dataclass(frozen=True)
class Kind:
    """What decides how long a picture takes on a host."""

    host: str
    checkpoint: str
    width: int
    height: int
    steps: int
    scheduler: str


def history(session: Session, kind: Kind) -> tuple[Sums, float] | None:
    """Return a host's own sums for such jobs, and the factor that scales them to the steps.

    Pictures of the same checkpoint, size, steps and scheduler are taken first; failing that, those of the
    same checkpoint and size, scaled by steps. None if there are none. Only the newest attempts are looked
    at: they say most about the next, and a long history must not make this slow. Of these only those count that were
    made with the device, dtype and slicing of the newest.
    """
    last = session.scalar(select(func.max(Attempt.id))) or 0
    alike = (
        Boot.host == kind.host,
        Job.checkpoint == kind.checkpoint,
        Job.width == kind.width,
        Job.height == kind.height,
    )
    for closer in ((Job.steps == kind.steps, Job.scheduler == kind.scheduler), ()):
        # Only successes have a total; asked for by outcome, an index of all of them would be walked instead.
        newest = session.execute(
            select(Attempt.id, Job.steps, Boot.device_name, Boot.dtype, Load.attention_slicing)
            .join(Job, Attempt.job_id == Job.id)
            .join(Boot, Attempt.boot_id == Boot.id)
            .join(Load, Attempt.load_id == Load.id)
            .where(Attempt.id > last - _LOOKED_AT, Attempt.total_s.is_not(None), *alike, *closer)
            .order_by(Attempt.id.desc())
            .limit(_TAKEN)
        ).all()
        same = [row for row in newest if row[2:] == newest[0][2:]]
        sums = read_sums(session, sums_queries(Attempt.id.in_([row.id for row in same])))
        if sums.steady_count:
            return sums, 1.0 if closer else kind.steps / fmean(row.steps for row in same)
    return None


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
