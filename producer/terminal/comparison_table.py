"""What a comparison says of each variant, as a table."""

from rich.table import Table

from models.types.printable import printable
from producer.actions.reports.comparison import Comparison, VariantFigures
from producer.format import NOT_MEASURED, seconds, size
from producer.terminal.tables import table

_COLUMNS = ("pictures", "accepted", "95 of 100 times between", "won, lost", "seconds", "memory")


def comparison_table(comparison: Comparison, title: str) -> Table:
    """Return a row for each variant; the first is what the others are held against."""
    shown = table(title, "variant", *_COLUMNS, right=_COLUMNS)
    for place, one in enumerate(comparison.variants):
        shown.add_row(
            printable(one.variant),
            f"{one.pictures:,}",
            f"{one.accepted} of {one.judged}" if one.judged else NOT_MEASURED,
            _range(one),
            f"{one.won}, {one.lost}" if place and one.judged else "",
            seconds(one.mean_s),
            size(one.peak_bytes),
        )
    return shown


def _range(one: VariantFigures) -> str:
    return NOT_MEASURED if one.low is None or one.high is None else f"{one.low:.0%} and {one.high:.0%}"
