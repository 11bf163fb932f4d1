"""Plots over time: figures turned into places on a drawing, which the page's template draws as SVG."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.figures.timeline import Event, EventKind

#: Of the drawing, in its own units: all of it, and the margins in which the scales stand.
WIDTH, _HEIGHT = 480, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 104, 12, 10, 24
#: Height of the row that an event of one kind has above the drawing.
ROW = 16
_NARROWEST = 2.5
_TIME_STEPS_S = [1, 2, 5, 10, 15, 30, *(60 * m for m in (1, 2, 5, 10, 15, 30)), *(3600 * h for h in (1, 2, 3, 6, 12))]
_DAY_S = 86_400


@dataclass(frozen=True)
class Point:
    """A figure at a moment; `low` and `high` where it stands for several."""

    at: datetime
    value: float
    low: float
    high: float
    #: Not like the others; drawn hollow.
    is_hollow: bool = False


@dataclass(frozen=True)
class Series:
    """Figures of one name."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Dot:
    """A point's place."""

    x: float
    y: float
    low_y: float
    high_y: float
    is_hollow: bool


@dataclass(frozen=True)
class Line:
    """A series' place: its dots, and the path through them."""

    name: str
    dots: list[Dot]
    path: str


@dataclass(frozen=True)
class Bar:
    """An event's place in its row."""

    x: float
    width: float
    says: str


@dataclass(frozen=True)
class Plot:
    """What the template draws."""

    title: str
    #: What a person sees at a glance, for those who do not see it.
    summary: str
    height: float
    left: float
    right: float
    top: float
    bottom: float
    #: Places of the scales' marks, each with its text.
    across: list[tuple[float, str]]
    up: list[tuple[float, str]]
    lines: list[Line]
    #: Whether each figure is a dot of its own, or they are a line.
    as_dots: bool
    #: Of each kind of event its row's place, its name, and its events.
    rows: Sequence[tuple[float, str, list[Bar]]]

    @property
    def has_hollow(self) -> bool:
        """Whether some figure is not like the others."""
        return any(dot.is_hollow for line in self.lines for dot in line.dots)


def plot(
    title: str,
    series: Sequence[Series],
    span: tuple[datetime, datetime],
    shown: Callable[[float], str],
    *,
    events: Sequence[Event] = (),
    as_dots: bool = False,
) -> Plot | None:
    """Return a plot of the series over a span of time, None where there is no figure; `shown` writes one of them.

    The scale begins at 0, so that a small change looks small.
    """
    series = [one for one in series if one.points]
    if not series:
        return None
    highest = max(point.high for one in series for point in one.points)
    lowest = min(point.low for one in series for point in one.points)
    step, top_value = _scale(highest)
    kinds = [kind for kind in EventKind if any(event.kind is kind for event in events)]
    # The scale's highest mark stands halfway above its line.
    top = _TOP + ROW * len(kinds) + (_TOP if kinds else 0)
    bottom = top + _HEIGHT - _BOTTOM
    right = WIDTH - _RIGHT

    def x(moment: datetime) -> float:
        whole = (span[1] - span[0]).total_seconds()
        share = (moment - span[0]).total_seconds() / whole if whole else 0.5
        return round(_LEFT + share * (right - _LEFT), 1)

    def y(value: float) -> float:
        return round(bottom - value / top_value * (bottom - top), 1)

    def bar(event: Event) -> Bar:
        begin = x(event.begin)
        return Bar(begin, max(_NARROWEST, round(x(event.end) - begin, 1)), event.says)

    lines = []
    for one in series:
        dots = [Dot(x(p.at), y(p.value), y(p.low), y(p.high), p.is_hollow) for p in one.points]
        lines.append(Line(one.name, dots, "M" + " L".join(f"{dot.x},{dot.y}" for dot in dots)))
    rows = [
        (_TOP + ROW * place, kind.value, [bar(event) for event in events if event.kind is kind])
        for place, kind in enumerate(kinds)
    ]
    counts = [f"{kind}: {len(bars):,}" for _, kind, bars in rows]
    summary = ", ".join([f"{title}, between {shown(lowest)} and {shown(highest)}", *counts])
    up = [(y(step * n), shown(step * n) if n else "0") for n in range(round(top_value / step) + 1)]
    across = [(x(moment), text) for moment, text in _moments(*span)]
    height = bottom + _BOTTOM
    return Plot(title, summary, height, _LEFT, right, top, bottom, across, up, lines, as_dots, rows)


def _scale(highest: float) -> tuple[float, float]:
    """Return the distance between two marks, and the scale's end: 1, 2 or 5 times a power of ten, some four marks."""
    if highest <= 0:
        return 1.0, 1.0
    power = 10.0 ** math.floor(math.log10(highest / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * 4 >= highest)
    return step, step * math.ceil(highest / step - 1e-9)


def _moments(first: datetime, last: datetime) -> list[tuple[datetime, str]]:
    """Return round times of day in the reader's zone between two moments, some four, and how they are written."""
    first, last = first.astimezone(), last.astimezone()
    whole_s = (last - first).total_seconds()
    days = math.ceil(whole_s / (4 * _DAY_S))
    step_s = next((step for step in _TIME_STEPS_S if step * 4 >= whole_s), days * _DAY_S)
    form = "%H:%M:%S" if step_s < 60 else "%H:%M" if step_s < _DAY_S else "%m-%d"
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    number = math.ceil((first - midnight).total_seconds() / step_s)
    found = []
    while (moment := midnight + timedelta(seconds=number * step_s)) <= last:
        found.append((moment, moment.strftime(form)))
        number += 1
    return found
