"""How far each combination of attributes is, as a table."""

from collections.abc import Sequence

from rich.table import Table

from models.figures.coverage import Coverage
from models.types.printable import printable
from producer.terminal.tables import table

_COUNTS = ("asked", "accepted", "missing", "to come", "rejected")


def coverage_table(combinations: Sequence[Coverage], title: str | None = None) -> Table:
    """Return a row for each combination, and one for all."""
    names = list(dict.fromkeys(name for one in combinations for name in one.attributes))
    shown = table(title, *map(printable, names), *_COUNTS, "why", right=_COUNTS)
    for one in combinations:
        chosen = (printable(one.attributes.get(name, "-")) for name in names)
        shown.add_row(*chosen, *_counts(one), _why(one))
    if len(combinations) > 1:
        shown.add_section()
        whole = Coverage({})
        for one in combinations:
            whole.asked += one.asked
            whole.accepted += one.accepted
            whole.to_come += one.to_come
            whole.rejected += one.rejected
            whole.reasons += one.reasons
        missing = f"{sum(one.missing for one in combinations):,}"
        asked, accepted, _, *others = _counts(whole)
        shown.add_row("all", *[""] * (len(names) - 1), asked, accepted, missing, *others, _why(whole))
    return shown


def _counts(one: Coverage) -> list[str]:
    return [f"{count:,}" for count in (one.asked, one.accepted, one.missing, one.to_come, one.rejected)]


def _why(one: Coverage) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in one.reasons.most_common())
