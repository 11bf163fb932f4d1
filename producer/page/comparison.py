"""The page of a comparison: its figures, and the variants of each picture side by side, in one file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.types.clock import now
from producer.actions.reports.comparison import Comparison
from producer.actions.reports.side_by_side import SameSeed
from producer.files import write_text
from producer.format import moment, seconds
from producer.page.figures import shown_parts
from producer.page.pictures import ShownPicture
from producer.page.plots import ROW, WIDTH, Plot
from producer.page.templating import source, template
from producer.terminal.comparison_table import comparison_table


@dataclass(frozen=True)
class _Cell:
    """What a variant made of a prompt and seed; `first` is the small copy that it is held against."""

    shown: ShownPicture
    first: str | None


def write_comparison(
    file: Path,
    batch: str,
    comparison: Comparison,
    rows: Sequence[SameSeed],
    pictures: Iterable[ShownPicture],
    *,
    plots: Sequence[Plot] = (),
    left_out: int = 0,
) -> None:
    """Write the page; `pictures` are those of the rows, and so many rows more are not on it. `plots` are a training's.

    It has no script: the differences are drawn by the browser's own blending, so nothing reads their pixels.

    Raises:
        StorageError: if it cannot be written.
    """
    by_job = {one.made.job_id: one for one in pictures}
    blocks: dict[str, list[tuple[int, list[_Cell | None]]]] = {}
    for row in rows:
        shown = [None if made is None else by_job[made.job_id] for made in row.pictures]
        first = None if shown[0] is None else shown[0].thumbnail
        cells = [None if one is None else _Cell(one, first if place else None) for place, one in enumerate(shown)]
        blocks.setdefault(row.prompt, []).append((row.seed, cells))
    text = template("comparison.html").render(
        title=f"Comparison {batch}",
        figures=list(shown_parts([comparison_table(comparison, "Variants")])),
        verdict=comparison.verdict,
        variants=[one.variant for one in comparison.variants],
        blocks=blocks,
        plots=plots,
        left_out=left_out,
        width=WIDTH,
        row=ROW,
        style=source("page.css"),
        seconds=seconds,
        written_at=moment(now()),
    )
    write_text(file, text)
