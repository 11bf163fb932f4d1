"""The report's figures as the page shows them: its tables and lines as they are, and some as bars."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.table import Table

from models.records.judging.acceptance import BY_PERSON
from producer.actions.reports.report import Report
from producer.format import seconds
from producer.terminal.report_tables import Part


@dataclass(frozen=True)
class ShownTable:
    """A table; the first of `columns` is empty where it has no heads."""

    title: str
    columns: list[str]
    #: Whether a column's values are flush right.
    right: list[bool]
    rows: list[list[str]]


@dataclass(frozen=True)
class Bar:
    """A figure, and how long its bar is in shares of the longest that could be."""

    name: str
    shown: str
    share: float


@dataclass(frozen=True)
class Bars:
    """Figures that are seen beside each other."""

    title: str
    rows: list[Bar]


def shown_parts(parts: Iterable[Part]) -> Iterator[ShownTable | str]:
    """Yield the parts of a report with the very texts that a terminal shows."""
    for part in parts:
        if isinstance(part, Table):
            heads = [str(column.header) for column in part.columns] if part.show_header else []
            right = [column.justify == "right" for column in part.columns]
            cells = [[str(cell) for cell in column.cells] for column in part.columns]
            rows = [list(row) for row in zip(*cells, strict=True)]
            yield ShownTable(str(part.title or "").strip(), heads, right, rows)
        else:
            yield str(part).strip()


def bars(report: Report) -> list[Bars]:
    """Return what is seen best as bars: where the time goes, and what became of the pictures."""
    found = []
    if report.speed is not None and report.speed.parts:
        rows = [
            Bar(part, f"{seconds(mean)} a picture, {share:.1%}", share)
            for part, (mean, share) in report.speed.parts.items()
        ]
        found.append(Bars("Where the device's time goes", rows))
    if report.acceptance is not None and report.progress is not None and report.progress.made:
        made = report.progress.made
        counts = {"accepted": report.acceptance.accepted, "rejected": report.acceptance.rejected}
        by = {
            f"… by {'a person' if check == BY_PERSON else check}": count
            for check, count in report.acceptance.rejected_by.items()
        }
        rows = [Bar(name, f"{count:,} of {made:,}", count / made) for name, count in (counts | by).items()]
        found.append(Bars("Accepted, and rejected by check", rows))
    return found
