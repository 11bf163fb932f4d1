"""On a narrow terminal no heading and no figure is broken within a word."""

import io

import pytest
from rich.console import Console

from producer.terminal.tables import table

COLUMNS = ("picture", "pictures", "mean", "median", "p95", "min", "max", "steps/s")


def shown(width: int) -> str:
    made = table("Steady state, seconds a picture", *COLUMNS, right=COLUMNS[1:])
    made.add_row("128x128, 12 steps", "1,000", "0.132 s", "0.131 s", "0.140 s", "0.120 s", "0.150 s", "105.81")
    made.add_row("64x64, 12 steps", "2,000", "not measured", *["by kind"] * 5)
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(made)
    return out.getvalue()


@pytest.mark.parametrize("width", [20, 30, 40, 60, 79])
def test_every_heading_and_figure_can_be_read(width):
    text = shown(width)
    assert max(map(len, text.splitlines())) <= width
    words = text.split()
    for column in COLUMNS:
        assert column in words
    for word in ("128x128,", "1,000", "0.132", "105.81", "measured"):
        assert word in words


def test_a_wide_terminal_has_the_table():
    heading, *_ = [line for line in shown(120).splitlines() if "median" in line]
    assert heading.split() == list(COLUMNS)
