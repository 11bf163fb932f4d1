"""The report's figures: everything that `producer report` shows, as plain data."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from models.figures.estimates import Estimate, expected, host_of, time_left
from models.figures.hardware import Pace, are_comparable, paces
from models.figures.kinds import mix_of_kinds, only_kind, presets
from models.figures.memory_trend import FEWEST_PICTURES, MemoryTrend, memory_trend
from models.figures.progress import BatchProgress, batch_progress, failures_by_cause, is_judged, lost_attempts
from models.figures.sums import Sums
from models.figures.throughput import LoadSums, MemoryFigures, add_up, memory_figures, sums_by_load, wall_seconds
from models.figures.tuned import Tuned, tuned
from models.figures.workers import WorkerFigures, worker_figures
from models.records.batches import KnownBatch, find_batch
from models.records.boots import GuardFigures, guard_figures
from models.records.database import Session
from models.records.judging.acceptance import Standing, Unreached, standing, unreached
from models.tuning import CallKind, Trials
from models.types.identity import Kind, Knobs
from producer.actions.reports.speed import SpeedFigures, speed_figures

#: The seed's estimates: validation during training, then data sets.
_SHOWN_UNREACHED = 5
ESTIMATED_PICTURES = (24, 100, 1_000, 3_000)


@dataclass(frozen=True)
class LoadFigures:
    """A worker boot with one of its loads."""

    boot: int
    host: str
    device: str
    device_name: str
    chip: str
    threads: int
    dtype: str
    checkpoint: str
    revision: str
    knobs: Knobs
    versions: dict[str, str]
    started_at: datetime
    memory_total_bytes: int | None
    rss_lifetime_peak_bytes: int | None
    rss_lifetime_peak_source: str | None
    load_s: float
    warmup_s: float
    warmup_steps: int
    load_rss_bytes: int | None
    available_before_bytes: int | None
    available_after_bytes: int | None
    pictures: int


@dataclass(frozen=True)
class AcceptanceFigures(Standing):
    """How the pictures of a batch stand, how many are accepted an hour, and the first that will not come."""

    #: Of the wall-clock time from the first start to the last finish.
    accepted_per_hour: float | None
    unreached: list[Unreached]


@dataclass(frozen=True)
class Report:
    """All that is known of a batch, or of everything."""

    scope: str
    progress: BatchProgress | None
    remaining_s: float | None
    remaining_low_s: float | None
    remaining_high_s: float | None
    #: None where the batch's pictures are not judged.
    acceptance: "AcceptanceFigures | None"
    loads: list[LoadFigures]
    speed: SpeedFigures | None
    #: Each worker that made or lost something, by host and device.
    workers: list[WorkerFigures]
    memory: list[MemoryFigures]
    #: The worst of macOS's own words on the machine's memory: 1 at ease, 2 warned of, 4 critical.
    memory_pressure: int | None
    #: Of the newest boot with enough pictures.
    memory_trend: MemoryTrend | None
    guard: list[GuardFigures]
    failures: dict[str, int]
    lost_attempts: int
    #: How many jobs were asked for by each preset, where any was.
    presets: dict[str, int]
    #: What workers have found out of how such pictures are made in the least time.
    tuned: list[Tuned]
    estimates: list[Estimate]
    #: How many kinds of pictures the estimates are of, in the proportion in which they were asked for.
    estimated_kinds: int
    hardware: list[Pace]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON can carry it; None is "not measured"."""
        data = asdict(self)
        if self.speed is not None:
            data["speed"]["parts"] = {
                part: {"mean_s": mean, "share": share} for part, (mean, share) in self.speed.parts.items()
            }
        return data


def build_report(
    session: Session,
    batch_name: str | None,
    *,
    everything: bool,
    tuning: Mapping[CallKind, Trials] | None = None,
) -> Report:
    """Return the figures of one batch (the newest where none is named), or of everything.

    `tuning` is what is known of it on this machine.
    """
    batch = None if everything else find_batch(session, batch_name)
    batch_id = None if batch is None else batch.id
    loads = sums_by_load(session, batch_id)
    sums = add_up(load.sums for load in loads)
    progress = None if batch is None else batch_progress(session, batch)
    remaining = time_left(session, batch, progress) if batch and progress and progress.remaining else None
    kind = only_kind(session, batch_id) if loads else None
    mix = Counter({kind: 1}) if kind else mix_of_kinds(session, batch_id) if loads else Counter()
    host = host_of(session, batch_id)
    estimates = [_estimate(session, mix, n, progress, host) for n in ESTIMATED_PICTURES] if mix else []
    wall_s = wall_seconds(loads)
    hardware = paces(session)
    return Report(
        scope="everything" if batch is None else batch.name,
        progress=progress,
        remaining_s=remaining.seconds if remaining else None,
        remaining_low_s=remaining.low_s if remaining else None,
        remaining_high_s=remaining.high_s if remaining else None,
        acceptance=_acceptance(session, batch, progress, wall_s) if batch and progress else None,
        loads=[_load_figures(load) for load in loads],
        speed=speed_figures(session, batch_id, kind, loads, sums, wall_s) if sums else None,
        workers=worker_figures(session, batch_id, loads),
        memory=memory_figures(session, sums, loads[-1].load.memory_sources) if sums else [],
        memory_pressure=sums.memory_pressure if sums else None,
        memory_trend=_memory_trend(session, loads),
        guard=_guard(session, loads, sums, progress),
        failures=failures_by_cause(session, batch_id),
        lost_attempts=lost_attempts(session, batch_id),
        presets=presets(session, batch_id),
        tuned=tuned(tuning or {}, {load.load.device_name for load in loads}, mix),
        estimates=[found for found in estimates if found.seconds is not None],
        estimated_kinds=len(mix),
        hardware=hardware if are_comparable(hardware) else [],
    )


def _acceptance(
    session: Session, batch: KnownBatch, progress: BatchProgress, wall_s: float | None
) -> AcceptanceFigures | None:
    if not is_judged(batch, progress):
        return None
    found = standing(session, batch.id)
    short = unreached(session, batch.id, _SHOWN_UNREACHED) if progress.is_short else []
    return AcceptanceFigures(**vars(found), accepted_per_hour=_rate(found.accepted, wall_s), unreached=short)


def _rate(count: int, seconds: float | None) -> float | None:
    return 3600 * count / seconds if seconds else None


def _estimate(
    session: Session, mix: Mapping[Kind, int], pictures: int, progress: BatchProgress | None, host: str
) -> Estimate:
    """Return how long so many pictures of this mix will take, so many accepted ones where the batch rejected some."""
    share = progress.accepted / progress.made if progress and progress.accepted else 1.0
    each = pictures / share / sum(mix.values())
    return replace(expected(session, {kind: count * each for kind, count in mix.items()}, host), pictures=pictures)


def _load_figures(found: LoadSums) -> LoadFigures:
    load = found.load
    return LoadFigures(
        boot=load.boot_id,
        host=load.host,
        device=load.device,
        device_name=load.device_name,
        chip=load.chip,
        threads=load.threads,
        dtype=load.dtype,
        checkpoint=load.checkpoint,
        revision=load.revision,
        knobs=load.knobs,
        versions=dict(load.versions),
        started_at=load.started_at,
        memory_total_bytes=load.memory_total_bytes,
        rss_lifetime_peak_bytes=load.rss_lifetime_peak_bytes,
        rss_lifetime_peak_source=load.memory_sources.get("rss_lifetime_peak"),
        load_s=load.load_s,
        warmup_s=load.warmup_s,
        warmup_steps=load.warmup_steps,
        load_rss_bytes=_difference(load.rss_after_bytes, load.rss_before_bytes),
        available_before_bytes=load.available_before_bytes,
        available_after_bytes=load.available_after_bytes,
        pictures=found.sums.count,
    )


def _difference(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else after - before


def _memory_trend(session: Session, loads: list[LoadSums]) -> MemoryTrend | None:
    """Return the trend of the newest boot that made enough pictures, from its first one in scope to its last."""
    for boot_id in dict.fromkeys(load.load.boot_id for load in reversed(loads)):
        sums = add_up(load.sums for load in loads if load.load.boot_id == boot_id)
        assert sums is not None
        assert sums.first_id is not None
        assert sums.last_id is not None
        if sums.count >= FEWEST_PICTURES and (trend := memory_trend(session, boot_id, sums.first_id, sums.last_id)):
            return trend
    return None


def _guard(
    session: Session, loads: list[LoadSums], sums: Sums | None, progress: BatchProgress | None
) -> list[GuardFigures]:
    """Return what the memory guard did while the batch was made, or ever."""
    if progress is None:
        return guard_figures(session)
    if sums is None:
        return []
    until = None if progress.remaining else sums.last_finish
    return guard_figures(session, {load.load.boot_id for load in loads}, sums.first_start, until)
