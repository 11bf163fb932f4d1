"""Comparing devices, and settings that change the pace of one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from models.records.identity_columns import columns, from_row
from models.records.tables import Attempt, Boot, Job, Load
from models.types.identity import Kind, Setting, Tuning
from models.types.states import Outcome

#: Newest pictures of a load that count.
_TAKEN = 1_000


def setting_of(boot: Boot, load: Load) -> Setting:
    """Return the setting that a load's pictures were made with."""
    return Setting(boot.device_name, boot.device, boot.dtype, load.attention_slicing, load.checkpoint)


@dataclass(frozen=True)
class Pace(Setting, Kind):
    """The pace with a setting in steady state, for pictures of one kind."""

    pictures: int
    mean_s: float
    #: Mean seconds of a denoising step.
    step_s: float | None
    #: Of the newest load.
    load_s: float
    warmup_s: float
    rss_peak_bytes: int | None
    device_peak_bytes: int | None


def paces(session: Session) -> list[Pace]:
    """Return the pace with each setting and for each kind of picture, over the newest pictures of each load."""
    found: dict[tuple[Setting, Kind], list[tuple[Load, Any]]] = {}
    for load, boot in session.execute(select(Load, Boot).join(Boot).order_by(Load.id)):
        for row in session.execute(_QUERY, {"load_id": load.id}):
            found.setdefault((setting_of(boot, load), from_row(Kind, row)), []).append((load, row))
    return [_pace(setting, kind, made) for (setting, kind), made in found.items()]


def are_comparable(found: Sequence[Pace]) -> bool:
    """Tell whether the paces are of more than one device, type of number or kind of attention."""
    return len({Tuning.of(pace) for pace in found}) > 1


_COLUMNS = columns(Kind)
#: The newest pictures of one load.
_NEWEST = (
    select(Attempt)
    .where(Attempt.load_id == bindparam("load_id"), Attempt.outcome == Outcome.SUCCEEDED, Attempt.cold.is_(False))
    .order_by(Attempt.id.desc())
    .limit(_TAKEN)
    .subquery()
    .c
)
_QUERY = (
    select(
        *_COLUMNS,
        func.count().label("pictures"),
        func.sum(_NEWEST.total_s).label("total_s"),
        func.count(_NEWEST.denoise_s).label("denoised"),
        func.sum(_NEWEST.denoise_s).label("denoise_s"),
        func.max(_NEWEST.rss_peak_bytes).label("rss"),
        func.max(_NEWEST.device_driver_peak_bytes).label("driver"),
    )
    .join(Job, Job.id == _NEWEST.job_id)
    .group_by(*_COLUMNS)
)


def _pace(setting: Setting, kind: Kind, made: Sequence[tuple[Load, Any]]) -> Pace:
    newest_load = made[-1][0]
    rows = [row for _, row in made]
    pictures = sum(row.pictures for row in rows)
    denoised = sum(row.denoised for row in rows)
    return Pace(
        **asdict(kind) | asdict(setting),
        pictures=pictures,
        mean_s=sum(row.total_s for row in rows) / pictures,
        step_s=sum(row.denoise_s or 0 for row in rows) / (denoised * kind.steps) if denoised else None,
        load_s=newest_load.load_s,
        warmup_s=newest_load.warmup_s,
        rss_peak_bytes=max((row.rss for row in rows if row.rss is not None), default=None),
        device_peak_bytes=max((row.driver for row in rows if row.driver is not None), default=None),
    )
