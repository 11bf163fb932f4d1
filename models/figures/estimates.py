"""How long pictures will take, by what was measured of others."""

import math
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.figures.kinds import remaining_kinds
from models.figures.progress import BatchProgress
from models.records.batches import KnownBatch
from models.records.tables import Attempt, Boot, Job, Load
from models.records.tables.identity_columns import are_of, columns, from_row
from models.types.identity import Kind, Knobs, Shape, Tuning, Weights

#: How far back `history` looks, and how many of what it finds it takes.
_LOOKED_AT, _TAKEN = 100_000, 1_000
#: Blocks that a run of pictures is cut into, to see how much its parts differ: few, so that they are long.
_BLOCKS = 5
_COLUMNS = columns(Kind)


@dataclass(frozen=True)
class Estimate:
    """Seconds that a number of pictures will take, and the range that 95 of 100 such runs fall into.

    What is None is not measured.
    """

    pictures: float
    seconds: float | None
    low_s: float | None
    high_s: float | None
    disk_bytes: float | None = None


def expected(session: Session, kinds: Mapping[Kind, float], host: str) -> Estimate:
    """Return what making so many jobs of each kind takes on a host, by what it has made of that kind.

    The sum over the kinds, so that none is in another's mean. If nothing of one kind's checkpoint was ever made there,
    the whole is not measured; where one is scaled from other sizes, there is no range.
    """
    total = Estimate(sum(kinds.values()), 0.0, 0.0, 0.0, 0.0)
    for kind, count in kinds.items():
        if not count:
            continue
        found = history(session, host, kind)
        own = estimate(found.sample, count, found.factor) if found else Estimate(count, None, None, None)
        total = Estimate(
            total.pictures,
            _plus(total.seconds, own.seconds),
            _plus(total.low_s, None if found and found.is_rough else own.low_s),
            _plus(total.high_s, None if found and found.is_rough else own.high_s),
            _plus(total.disk_bytes, count * found.picture_bytes if found else None),
        )
    return total


def _plus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b


def host_of(session: Session, batch_id: int | None) -> str:
    """Return the machine that makes the batch's pictures, as the newest of them tells, or this one."""
    query = select(Boot.host).join(Attempt, Attempt.boot_id == Boot.id).order_by(Attempt.id.desc()).limit(1)
    found = session.scalar(query if batch_id is None else query.where(Attempt.batch_id == batch_id))
    return found or socket.gethostname()


@dataclass(frozen=True)
class Sample:
    """Pictures in steady state that an estimate is made from: seconds a picture, the oldest first."""

    times_s: Sequence[float]
    #: Mean seconds from one picture to the next, None where none was waited for.
    gap_s: float | None = None


def estimate(sample: Sample, pictures: float, factor: float = 1.0) -> Estimate:
    """Return how long `pictures` will take at the pace of the sample, which `factor` scales.

    There is no range below three observed values.
    """
    times, seen = sample.times_s, len(sample.times_s)
    # The gap between two pictures is no part of either, but of every night.
    seconds = pictures * (fmean(times) * factor + (sample.gap_s or 0.0))
    if seen < 3:
        return Estimate(pictures, seconds, None, None)
    margin = pictures * factor * _margin_s(times, pictures)
    # A time is above 0, which a symmetric range of little knowledge need not be. So it goes no deeper than a quarter,
    # the fastest that was seen, or as many times below as its other end is above.
    fastest = pictures * (min(times) * factor + (sample.gap_s or 0.0))
    lowest = min(seconds / 4, fastest, seconds**2 / (seconds + margin))
    return Estimate(pictures, seconds, max(lowest, seconds - margin), seconds + margin)


def _margin_s(times: Sequence[float], pictures: float) -> float:
    """Return how far the mean of so many further values will be from that of the observed ones, 95 of 100 times.

    Of n further values after m independent ones that is t(m - 1) * s * sqrt(1/n + 1/m). But pictures that follow one
    another are not independent: another program comes, and all of the next hundred take longer. So the deviation of the
    means of blocks counts too (B. Schmeiser, Batch Size Effects in the Analysis of Simulation Output, Operations
    Research 30, 1982), each block a value. More of them would not say more exactly what the next ones do, because what
    a machine does varies over an hour by as much as over a minute: so is flicker noise, of which the deviation of means
    is the same however long they are (D. W. Allan, Statistics of Atomic Frequency Standards, Proceedings of the IEEE
    54, 1966). The further values are then one block more, after those that were seen; of few values each is a block.
    """
    seen = len(times)
    independent = _t_quantile(seen - 1) * stdev(times) * math.sqrt(1 / pictures + 1 / seen)
    length = max(1, seen // _BLOCKS)
    blocks = _BLOCKS if length > 1 else seen
    newest = times[-length * blocks :]
    means = [fmean(newest[start : start + length]) for start in range(0, len(newest), length)]
    # Fewer values than a block has vary more than it does.
    share = max(1 + 1 / blocks, length / pictures + length / seen)
    return max(independent, _t_quantile(blocks - 1) * stdev(means) * math.sqrt(share))


@dataclass(frozen=True)
class History:
    """What a host has made of one kind."""

    sample: Sample
    #: Scales the sample's pace to the work that is asked for.
    factor: float
    #: Mean bytes of a picture.
    picture_bytes: float
    #: Whether it is of other sizes, or guided where these are not: too little to say a range.
    is_rough: bool


def history(session: Session, host: str, kind: Kind) -> History | None:
    """Return what a host has made of such jobs.

    Pictures of the same checkpoint, size, steps, scheduler and guided or not are taken first; failing that, those of
    other steps or schedulers, scaled by steps; failing that, all of the checkpoint, scaled by pixels, steps and passes
    through the denoiser, which is rough. None if there are none. Only the newest attempts are looked at: they say most
    about the next, and a long history must not make this slow. Of these only those count that were made with the
    tuning of the newest.
    """
    last = session.scalar(select(func.max(Attempt.id))) or 0
    shape = are_of(Shape.of(kind))
    for closer in (are_of(kind), shape, []):
        # Only successes have a total; asked for by outcome, an index of all of them would be walked instead.
        newest = session.execute(
            select(
                *(Boot.device_name, Boot.device, Boot.dtype, Load.tuning),
                *(Attempt.total_s, Attempt.cold, Attempt.gap_s, Attempt.picture_bytes, *_COLUMNS),
            )
            .join(Job, Attempt.job_id == Job.id)
            .join(Boot, Attempt.boot_id == Boot.id)
            .join(Load, Attempt.load_id == Load.id)
            .where(Attempt.id > last - _LOOKED_AT, Attempt.total_s.is_not(None), *closer)
            .where(Boot.host == host, *are_of(Weights.of(kind)))
            .order_by(Attempt.id.desc())
            .limit(_TAKEN)
        ).all()
        same = [row for row in newest if _tuning(row) == _tuning(newest[0])]
        steady = [row.total_s for row in reversed(same) if not row.cold]
        if steady:
            gaps = [row.gap_s for row in same if row.gap_s is not None]
            made = fmean(_work(from_row(Kind, row[-len(_COLUMNS) :])) for row in same)
            return History(
                Sample(steady, fmean(gaps) if gaps else None),
                1.0 if len(closer) > len(shape) else _work(kind) / made,
                fmean(row.picture_bytes or 0 for row in same),
                is_rough=not closer,
            )
    return None


def _tuning(row: Any) -> Tuning:
    return Tuning(row.device_name, row.device, row.dtype, Knobs.from_dict(row.tuning))


def _work(kind: Kind) -> float:
    """Return what a picture costs the device, in pixels that go through the denoiser."""
    return kind.width * kind.height * kind.steps * (2 if kind.guided else 1)


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


def time_left(session: Session, batch: KnownBatch, progress: BatchProgress) -> Estimate:
    """Return how long what is left of the batch will take, each kind by its own pace; the bar and the report say so."""
    left = remaining_kinds(session, batch.id)
    # Of a target some pictures will be rejected, and made again.
    more = progress.to_make / progress.remaining if progress.remaining else 0.0
    return expected(session, {kind: count * more for kind, count in left.items()}, host_of(session, batch.id))
