"""Plots over time: figures at their places, round marks, and rows for what happened besides."""

from datetime import UTC, datetime, timedelta

import pytest

from models.figures.timeline import Event, EventKind
from producer.page.plots import Point, Series, plot

START = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def at(seconds: float):
    return START + timedelta(seconds=seconds)


def point(second: float, value: float):
    return Point(at(second), value, value, value)


def drawn(points, span_s=100.0, **more):
    return plot("Seconds", [Series("picture", points)], (START, at(span_s)), "{:g} s".format, **more)


def test_a_figure_stands_where_the_scales_say():
    found = drawn([point(0, 0), point(50, 5), point(100, 10)])
    [line] = found.lines
    assert [dot.x for dot in line.dots] == pytest.approx(
        [found.left, (found.left + found.right) / 2, found.right], abs=0.1
    )
    assert [dot.y for dot in line.dots] == pytest.approx(
        [found.bottom, (found.bottom + found.top) / 2, found.top], abs=0.1
    )
    marks = {text: y for y, text in found.up}
    assert marks == {"0": found.bottom, "5 s": line.dots[1].y, "10 s": found.top}
    assert found.summary == "Seconds, between 0 s and 10 s"


@pytest.mark.parametrize(
    ("highest", "texts"),
    [
        (10, ["0", "5 s", "10 s"]),
        (9.1, ["0", "5 s", "10 s"]),
        (8, ["0", "2 s", "4 s", "6 s", "8 s"]),
        (0.3, ["0", "0.1 s", "0.2 s", "0.3 s"]),
        (0, ["0", "1 s"]),
        (3_000_000, ["0", "1e+06 s", "2e+06 s", "3e+06 s"]),
    ],
)
def test_the_marks_are_round_and_begin_at_nothing(highest, texts):
    assert [text for _, text in drawn([point(1, highest)]).up] == texts


@pytest.mark.parametrize(
    ("span_s", "most"), [(0, 2), (3, 5), (47, 6), (600, 6), (8 * 3600, 6), (3 * 86_400, 6), (90 * 86_400, 6)]
)
def test_times_of_day_are_round_and_few(span_s, most):
    found = drawn([point(0, 1), point(span_s, 1)], span_s)
    assert len(found.across) <= most
    places = [x for x, _ in found.across]
    assert places == sorted(places)
    assert all(found.left <= x <= found.right for x in places)
    assert len({text for _, text in found.across}) == len(places)


def test_what_happened_has_a_row_for_each_kind_and_is_never_too_narrow_to_see():
    happened = [
        Event(EventKind.LOST, at(50), at(50), "job 7"),
        Event(EventKind.LOAD, at(0), at(20), "loaded"),
        Event(EventKind.LOST, at(60), at(60), "job 8"),
    ]
    found = drawn([point(30, 1)], events=happened)
    assert [(kind, [bar.says for bar in bars]) for _, kind, bars in found.rows] == [
        ("load", ["loaded"]),
        ("lost attempt", ["job 7", "job 8"]),
    ]
    load, lost = found.rows[0][2][0], found.rows[1][2][0]
    assert (load.x, load.width) == pytest.approx((found.left, 0.2 * (found.right - found.left)), abs=0.1)
    assert lost.width > 2
    assert found.rows[0][0] < found.rows[1][0] < found.top
    assert found.summary == "Seconds, between 1 s and 1 s, load: 1, lost attempt: 2"


def test_without_a_figure_there_is_no_plot():
    assert plot("Memory", [Series("swap", [])], (START, at(1)), str) is None
