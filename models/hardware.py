"""Comparing devices, and settings that change the pace of one."""

from dataclasses import asdict, dataclass, replace

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.states import Outcome
from models.tables import Attempt, Boot, Load

#: Newest pictures of a load that count.
_TAKEN = 1_000


@dataclass(frozen=True)
class Setting:
    """What decides how fast pictures of one kind are made and what memory that takes: paces of two are not averaged."""

    device_name: str
    device: str
    dtype: str
    checkpoint: str
    #: None in rows of a version that did not say.
    attention_slicing: bool | None


def setting_of(boot: Boot, load: Load) -> Setting:
    """Return the setting that a load's pictures were made with."""
    return Setting(boot.device_name, boot.device, boot.dtype, load.checkpoint, load.attention_slicing)


@dataclass(frozen=True)
class Pace(Setting):
    """The pace with a setting, in steady state."""

    pictures: int
    mean_s: float
    rss_peak_bytes: int | None
    device_peak_bytes: int | None


def pace_by_setting(session: Session) -> list[Pace]:
    """Return the pace with each setting over the newest pictures of each load.

    There is none where only the checkpoints differ.
    """
    grouped: dict[Setting, list[tuple[int, float, int | None, int | None]]] = {}
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
            grouped.setdefault(setting_of(boot, load), []).append(row)
    if len({replace(setting, checkpoint="") for setting in grouped}) < 2:
        return []
    paces = []
    for setting, rows in grouped.items():
        counts, totals, *peaks = zip(*rows, strict=True)
        rss, driver = (max((peak for peak in column if peak is not None), default=None) for column in peaks)
        mean_s = sum(totals) / sum(counts)
        paces.append(
            Pace(**asdict(setting), pictures=sum(counts), mean_s=mean_s, rss_peak_bytes=rss, device_peak_bytes=driver)
        )
    return paces
