"""How figures read: durations, sizes, moments, counts."""

from datetime import UTC, datetime

from models.figures.progress import BatchProgress
from models.records.judging.acceptance import BY_PERSON, Standing, Unreached
from models.types.identity import Knobs
from models.types.printable import printable
from models.types.states import JobState

NOT_MEASURED = "not measured"
MEMORY_WORDS = {
    "rss": "worker process",
    "device_allocated": "device, allocated",
    "device_driver": "device, held by the driver",
    "available": "machine, available (lowest)",
    "swap": "machine, swap used",
}


def states(progress: BatchProgress) -> str:
    """Return how many jobs stand in each state in which there are any: `20 succeeded, 4 queued`."""
    return ", ".join(f"{count:,} {state}" for state, count in progress.counts.items() if count) or "no jobs"


def faults(progress: BatchProgress) -> str:
    """Return how many jobs failed and how many are quarantined: `2 failed, 1 quarantined`."""
    apart = progress.counts[JobState.QUARANTINED]
    return f"{progress.counts[JobState.FAILED]:,} failed" + (f", {apart:,} quarantined" if apart else "")


def acceptance(progress: BatchProgress, standing: Standing) -> str:
    """Return how the pictures stand: `188 of 200 accepted, 31 rejected (colour 20, edge 11), 29 replaced`."""
    asked = progress.made if progress.target is None else progress.target
    return f"{standing.accepted:,} of {asked:,} accepted, {rejection(progress, standing)}"


def rejection(progress: BatchProgress, standing: Standing) -> str:
    """Return what became of the others: `31 rejected (colour 20, edge 11), 29 replaced`."""
    by = [f"{'a person' if check == BY_PERSON else check} {count:,}" for check, count in standing.rejected_by.items()]
    rejected = f"{standing.rejected:,} rejected" + (f" ({', '.join(by)})" if by else "")
    return rejected if progress.target is None else f"{rejected}, {standing.replaced:,} replaced"


def per_hour(count: float | None) -> str:
    """Return how many accepted pictures come an hour."""
    return f"accepted an hour: {NOT_MEASURED}" if count is None else f"{count:,.0f} accepted an hour"


def unreached_line(picture: Unreached) -> str:
    """Return what will not come, and why."""
    line = f"line {picture.source_line}, " if picture.source_line else ""
    tries = "1 try" if picture.tries == 1 else f"{picture.tries:,} tries"
    return f"not reached: {line}{tries}, the last is job {picture.job_id}: {printable(picture.reason)}"


def seconds(value: float | None) -> str:
    """Return seconds as people read a picture's time: `8.93 s`, `0.204 s`, `3.1 ms`."""
    if value is None:
        return NOT_MEASURED
    if value < 0.1:
        return f"{1000 * value:.1f} ms"
    return f"{value:.3f} s" if value < 1 else f"{value:.2f} s"


def duration(value: float | None) -> str:
    """Return a long time as people read it: `3 min 33 s`, `7 h 25 min`."""
    if value is None:
        return NOT_MEASURED
    if value < 1:
        # A time that rounds to 0.0 s reads as if it took none.
        return seconds(value)
    if value < 60:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(count: float | None) -> str:
    """Return bytes as people read them, in powers of ten."""
    if count is None:
        return NOT_MEASURED
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= scale:
            return f"{count / scale:.2f} {unit}"
    return f"{count:.0f} B"


def knobs_in_words(knobs: Knobs) -> str:
    """Return what was set of how a device works: `whole attention`."""
    slicing = knobs.attention_slicing
    return "attention not recorded" if slicing is None else f"{'sliced' if slicing else 'whole'} attention"


def number(value: float | None, digits: int = 2) -> str:
    """Return a figure with its digits."""
    return NOT_MEASURED if value is None else f"{value:,.{digits}f}"


def moment(value: datetime | None) -> str:
    """Return a time of day in the reader's own zone."""
    return "-" if value is None else value.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(value: datetime | None) -> str:
    """Return how long ago it was."""
    return "-" if value is None else f"{duration((datetime.now(UTC) - value).total_seconds())} ago"
