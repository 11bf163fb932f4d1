"""Tables on a terminal; plain where the output is none."""

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table
from rich.text import Text

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
