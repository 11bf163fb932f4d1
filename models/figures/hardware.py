"""Comparing devices, and settings that change the pace of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from models.records.tables import Attempt, Boot, Job, Load
from models.records.tables.identity_columns import columns, from_row
from models.types.identity import Configuration, Kind, Knobs, Tuning
from models.types.states import Outcome

#: Newest pictures of a load that count.
_TAKEN = 1_000


@dataclass(frozen=True)
class KnownLoad:
    """A load and its boot, as their rows have them."""

    id: int
    boot_id: int
    host: str
    lock_uid: str | None
    device: str
    device_name: str
    chip: str
    threads: int
    dtype: str
    memory_total_bytes: int | None
    versions: Mapping[str, str]
    memory_sources: Mapping[str, str]
    #: The clock that readings of the boot are of.
    clock: str | None
    #: When the boot started.
    started_at: datetime
    rss_lifetime_peak_bytes: int | None
    checkpoint: str
    revision: str
    knobs: Knobs
    load_s: float
    warmup_s: float
    warmup_steps: int
    rss_before_bytes: int | None
    rss_after_bytes: int | None
    available_before_bytes: int | None
    available_after_bytes: int | None

    @classmethod
    def of(cls, load: Load, boot: Boot) -> "KnownLoad":
        """Return what the rows say at this moment."""
        values: dict[str, Any] = {"id": load.id, "boot_id": boot.id, "knobs": Knobs.from_dict(load.tuning)}
        names = [field.name for field in fields(cls) if field.name not in values]
        return cls(**values, **{name: getattr(load if hasattr(load, name) else boot, name) for name in names})

    @property
    def configuration(self) -> Configuration:
        """The configuration that its pictures were made with."""
        return Configuration.of(self)


def known_loads(session: Session) -> list[KnownLoad]:
    """Return all loads, in order of time."""
    rows = session.execute(select(Load, Boot).join(Boot).order_by(Load.id))
    return [KnownLoad.of(load, boot) for load, boot in rows]


@dataclass(frozen=True)
class Pace(Configuration, Kind):
    """The pace with a configuration in steady state, for pictures of one kind."""

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
    """Return the pace with each configuration and for each kind of picture, over the newest pictures of each load."""
    found: dict[tuple[Configuration, Kind], list[tuple[KnownLoad, Any]]] = {}
    for load in known_loads(session):
        for row in session.execute(_QUERY, {"load_id": load.id}):
            found.setdefault((load.configuration, from_row(Kind, row)), []).append((load, row))
    return [_pace(configuration, kind, made) for (configuration, kind), made in found.items()]


def are_comparable(found: Sequence[Pace]) -> bool:
    """Tell whether the paces are of more than one tuning."""
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


def _pace(configuration: Configuration, kind: Kind, made: Sequence[tuple[KnownLoad, Any]]) -> Pace:
    newest_load = made[-1][0]
    rows = [row for _, row in made]
    pictures = sum(row.pictures for row in rows)
    denoised = sum(row.denoised for row in rows)
    return Pace(
        **vars(kind) | vars(configuration),
        pictures=pictures,
        mean_s=sum(row.total_s for row in rows) / pictures,
        step_s=sum(row.denoise_s or 0 for row in rows) / (denoised * kind.steps) if denoised * kind.steps else None,
        load_s=newest_load.load_s,
        warmup_s=newest_load.warmup_s,
        rss_peak_bytes=max((row.rss for row in rows if row.rss is not None), default=None),
        device_peak_bytes=max((row.driver for row in rows if row.driver is not None), default=None),
    )
