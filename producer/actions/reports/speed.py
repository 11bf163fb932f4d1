"""How fast pictures were made: of one kind in a row, of several in a row for each."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.figures.kinds import KindSums, sums_by_kind
from models.figures.sums import Sums
from models.figures.throughput import LoadSums, SteadyState, add_up, steady_percentile
from models.records.database import Session
from models.types.identity import Configuration, Kind
from models.types.measurement import DEVICE_PARTS


@dataclass(frozen=True)
class KindSpeed:
    """Steady state of one kind of picture with one configuration."""

    configuration: Configuration
    kind: Kind
    pictures: int
    mean_s: float
    min_s: float
    max_s: float
    steps_per_s: float | None


@dataclass(frozen=True)
class SpeedFigures:
    """Seconds a picture and pictures a minute."""

    pictures: int
    cold_pictures: int
    #: Made in one call of the device, in the mean of those calls.
    pictures_a_call: float | None
    #: How often other LoRAs, or none, came into use, and what that took in all; no part of any picture's time.
    lora_switches: int
    lora_switch_s: float
    steady_pictures: int
    mean_s: float | None
    median_s: float | None
    p95_s: float | None
    min_s: float | None
    max_s: float | None
    steps_per_s: float | None
    wall_s: float | None
    busy_s: float
    per_minute_wall: float | None
    #: For how long the machine slept meanwhile, and the pace over the rest of the time.
    slept_s: float | None
    per_minute_awake: float | None
    per_minute_busy: float | None
    #: Of the mean seconds from one picture to the next, how many the device waited, and for what share it was busy.
    gap_mean_s: float | None
    busy_share: float | None
    #: Mean seconds that a picture's file took, beside the device.
    save_mean_s: float | None
    queue_wait_mean_s: float | None
    queue_wait_max_s: float | None
    #: Mean seconds a picture by what the device was busy with, and its share of them.
    parts: dict[str, tuple[float | None, float]]
    #: Where there were several kinds or configurations; all figures of one picture are None then: they were of none.
    by_kind: list[KindSpeed]


def speed_figures(
    session: Session,
    batch_id: int | None,
    kind: Kind | None,
    loads: Sequence[LoadSums],
    sums: Sums,
    wall_s: float | None,
) -> SpeedFigures:
    """Return how fast the pictures of these loads were made, of which `sums` are the sums, in `wall_s` seconds.

    `kind` is that of all of them, None where there are several.
    """
    by_kind = _by_kind(loads, sums_by_kind(session, batch_id)) if kind is None else _by_configuration(loads, kind)
    # What takes another time is in no mean with it, and of their middle and their ends nothing is learnt either.
    is_one = len(by_kind) <= 1

    def percentile(share: float) -> float | None:
        return steady_percentile(session, SteadyState(batch_id, sums.steady_count), share) if is_one else None

    parts = {part: total for part in DEVICE_PARTS if (total := sums.parts_s[part]) is not None}
    measured = sum(parts.values())
    save_s = sums.parts_s["save"]
    awake_s = None if wall_s is None or sums.slept_s is None else wall_s - sums.slept_s
    return SpeedFigures(
        pictures=sums.count,
        cold_pictures=sums.cold,
        pictures_a_call=sums.pictures_a_call,
        lora_switches=round(sums.switches),
        lora_switch_s=sums.switch_s,
        steady_pictures=sums.steady_count,
        mean_s=sums.mean_s if is_one else None,
        median_s=percentile(0.5),
        p95_s=percentile(0.95),
        min_s=percentile(0.0),
        max_s=percentile(1.0),
        steps_per_s=sums.steps_per_s if is_one else None,
        wall_s=wall_s,
        busy_s=sums.busy_s,
        per_minute_wall=60 * sums.count / wall_s if wall_s else None,
        slept_s=sums.slept_s,
        per_minute_awake=60 * sums.count / awake_s if awake_s else None,
        per_minute_busy=60 * sums.count / sums.busy_s if sums.busy_s else None,
        gap_mean_s=sums.mean_gap_s,
        busy_share=sums.busy_share,
        save_mean_s=save_s / sums.count if save_s is not None and is_one else None,
        queue_wait_mean_s=sums.mean_wait_s,
        queue_wait_max_s=sums.longest_wait_s,
        parts={
            part: (total / sums.count if is_one else None, total / measured)
            for part, total in parts.items()
            if measured
        },
        by_kind=[] if is_one else list(by_kind),
    )


def _by_configuration(loads: Sequence[LoadSums], kind: Kind) -> list[KindSpeed]:
    """Return a row for each configuration, where all pictures are of one kind."""
    rows: dict[Configuration, list[Sums]] = {}
    for load in loads:
        rows.setdefault(load.load.configuration, []).append(load.sums)
    found = []
    for configuration, parts in rows.items():
        sums = add_up(parts)
        assert sums is not None
        if sums.mean_s is None or sums.steady_min_s is None or sums.steady_max_s is None:
            continue
        ends = sums.steady_min_s, sums.steady_max_s
        found.append(KindSpeed(configuration, kind, sums.steady_count, sums.mean_s, *ends, sums.steps_per_s))
    return found


def _by_kind(loads: Sequence[LoadSums], found: Sequence[KindSums]) -> list[KindSpeed]:
    """Return a row for each kind with each configuration, in the order in which they came."""
    configurations = {load.load.id: load.load.configuration for load in loads}
    rows: dict[tuple[Configuration, Kind], list[KindSums]] = {}
    for sums in found:
        rows.setdefault((configurations[sums.load_id], sums.kind), []).append(sums)
    return [
        KindSpeed(
            configuration,
            kind,
            pictures=(pictures := sum(one.pictures for one in parts)),
            mean_s=sum(one.total_s for one in parts) / pictures,
            min_s=min(one.min_s for one in parts),
            max_s=max(one.max_s for one in parts),
            steps_per_s=sum(one.steps for one in parts) / denoise_s
            if (denoise_s := sum(one.denoise_s for one in parts))
            else None,
        )
        for (configuration, kind), parts in rows.items()
    ]
