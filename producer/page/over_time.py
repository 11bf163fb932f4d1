"""What the page plots over time, of the pictures of a batch and of what happened meanwhile."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from models.figures.timeline import Event, Stretch
from models.types.measurement import MEMORY_KINDS
from producer.format import MEMORY_WORDS, duration, seconds, size
from producer.page.plots import Plot, Point, Series, plot

#: Kinds of memory that are the machine's, and would make the worker's look like nothing beside them.
_OF_MACHINE = ("available", "swap")


def plots_over_time(stretches: Sequence[Stretch], events: Sequence[Event]) -> list[Plot]:
    """Return the plots of what was measured: seconds a picture, memory, wait in the queue."""
    span = _span(stretches, events)
    if span is None:
        return []
    each = max(stretch.pictures for stretch in stretches) if stretches else 1
    of_several = "" if each == 1 else f" (each mark: {each:,} pictures, their mean, least and most)"
    took = [Point(s.finished_at, s.mean_s, s.low_s, s.high_s, s.cold == s.pictures) for s in stretches]
    memory = {
        kind: _series(MEMORY_WORDS[kind], ((s.finished_at, s.memory[kind]) for s in stretches)) for kind in MEMORY_KINDS
    }
    of_machine = [memory.pop(kind) for kind in _OF_MACHINE]
    waits = [(s.finished_at, s.queue_wait_s) for s in stretches]
    found = (
        plot(f"Seconds a picture{of_several}", [Series("picture", took)], span, seconds, events=events, as_dots=True),
        plot("Memory of the worker", list(memory.values()), span, size),
        plot("Memory of the machine", of_machine, span, size),
        plot("Wait in the queue", [_series("wait", waits)], span, duration),
    )
    return [one for one in found if one is not None]


def _series(name: str, measured: Iterable[tuple[datetime, float | None]]) -> Series:
    return Series(name, [Point(at, value, value, value) for at, value in measured if value is not None])


def _span(stretches: Sequence[Stretch], events: Sequence[Event]) -> tuple[datetime, datetime] | None:
    moments = [stretch.finished_at for stretch in stretches]
    moments += [stretch.finished_at - timedelta(seconds=stretch.mean_s) for stretch in stretches[:1]]
    moments += [moment for event in events for moment in (event.begin, event.end)]
    return (min(moments), max(moments)) if moments else None
