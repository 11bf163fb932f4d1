"""How figures read on a terminal: durations, sizes, tables; plain where the output is no terminal."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table
from rich.text import Text

from models.figures.progress import BatchProgress
from models.records.acceptance import BY_PERSON, Standing, Unreached
from models.types.printable import printable
from models.types.states import JobState

NOT_MEASURED = "not measured"
#: Blanks between two columns.
_BETWEEN = 3
#: Width where there is no terminal to ask.
_PLAIN_WIDTH = 120


def console(*, error: bool = False) -> Console:
    """Return a console on standard output, or on standard error."""
    stream = sys.stderr if error else sys.stdout
    return Console(
        stderr=error, width=None if stream.isatty() else _PLAIN_WIDTH, highlight=False, markup=False, emoji=False
    )


class _FittingTable(Table):
    """A table that gives each row lines of its own where the terminal is too narrow for its longest words."""

    def __rich_console__(self, out: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table, or its rows one below the other: a heading that is broken within words is not read."""
        if not self.show_header or self._fits(options.max_width):
            for column in self.columns if self.show_header else ():
                # Rich takes from the widest columns first, and would break figures.
                column.no_wrap = column.justify == "right"
            yield from super().__rich_console__(out, options)
            return
        if self.title:
            yield Text(str(self.title), "bold")
        headings = [str(column.header) for column in self.columns]
        for row in zip(*(column.cells for column in self.columns), strict=True):
            yield Text("─" * min(options.max_width, 40))
            below = Table(box=None, show_header=False, pad_edge=False, show_edge=False)
            below.add_column(overflow="fold")
            below.add_column(overflow="fold")
            for heading, cell in zip(headings, row, strict=True):
                if heading or cell:
                    below.add_row(heading, cell)
            yield below

    def _fits(self, width: int) -> bool:
        return sum(map(_least_width, self.columns)) + _BETWEEN * (len(self.columns) - 1) <= width


def _least_width(column: Column) -> int:
    """Return the length of the longest word, or of the longest figure, of which none is broken."""
    cells = [str(cell) for cell in (column.header, *column.cells)]
    parts = cells if column.justify == "right" else [word for cell in cells for word in cell.split()]
    return max(map(len, parts), default=0)


def table(title: str | None, *columns: str, right: Sequence[str] = ()) -> Table:
    """Return an empty table, set off by a line; the columns named in `right` are flush right."""
    heading = None if title is None else f"\n{title}"
    made = _FittingTable(
        title=heading, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False
    )
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


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


def given_up(picture: Unreached) -> str:
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


def attention(slicing: bool | None) -> str:
    """Return whether the attention was sliced."""
    return "not recorded" if slicing is None else "sliced" if slicing else "whole"


def number(value: float | None, digits: int = 2) -> str:
    """Return a figure with its digits."""
    return NOT_MEASURED if value is None else f"{value:,.{digits}f}"


def moment(value: datetime | None) -> str:
    """Return a time of day in the reader's own zone."""
    return "-" if value is None else value.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(value: datetime | None) -> str:
    """Return how long ago it was."""
    return "-" if value is None else f"{duration((datetime.now(UTC) - value).total_seconds())} ago"
