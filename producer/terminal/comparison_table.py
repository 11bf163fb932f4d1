"""What a comparison says of each variant, as a table."""

from collections.abc import Sequence

from rich.table import Table

from models.types.printable import printable
from producer.actions.reports.comparison import Comparison, VariantFigures
from producer.actions.reports.similarity import Similarity
from producer.format import NOT_MEASURED, seconds, size
from producer.terminal.tables import table

_COLUMNS = ("pictures", "accepted", "95 of 100 times between", "won, lost", "seconds", "memory")
_SIMILARITY = ("SSIM: mean, 5th percentile", "PSNR, dB")


def comparison_table(comparison: Comparison, title: str, similar: Sequence[Similarity | None] | None = None) -> Table:
    """Return a row for each variant; the first is what the others are held against.

    `similar` says how similar the pictures of each are to those, where that was measured.
    """
    columns = _COLUMNS if similar is None else _COLUMNS + _SIMILARITY
    shown = table(title, "variant", *columns, right=columns)
    for place, one in enumerate(comparison.variants):
        shown.add_row(
            printable(one.variant),
            f"{one.pictures:,}",
            f"{one.accepted} of {one.judged}" if one.judged else NOT_MEASURED,
            _range(one),
            f"{one.won}, {one.lost}" if place and one.judged else "",
            seconds(one.mean_s),
            size(one.peak_bytes),
            *([] if similar is None else _similarity(similar[place]) if place else ["", ""]),
        )
    return shown


def _range(one: VariantFigures) -> str:
    return NOT_MEASURED if one.low is None or one.high is None else f"{one.low:.0%} and {one.high:.0%}"


def _similarity(found: Similarity | None) -> list[str]:
    if found is None:
        return [NOT_MEASURED, NOT_MEASURED]
    return [f"{found.ssim:.3f}, {found.ssim_p5:.3f}", f"{found.psnr:.1f}, {found.psnr_p5:.1f}"]
