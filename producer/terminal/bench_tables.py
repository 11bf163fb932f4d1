"""What machines were measured to do, as tables."""

from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.table import Table

from producer.actions.reports.bench_results import BenchResult, Figure
from producer.format import NOT_MEASURED, knobs_in_words, seconds, size
from producer.terminal.tables import table


def print_result(out: Console, result: BenchResult) -> None:
    """Write all figures of one to `out`."""
    shown = table(f"{result.device_name} ({result.device}), {result.checkpoint}", "", "", right=("",))
    shown.show_header = False
    for name, value in (
        ("load", _seconds(result.load_s)),
        ("warm-up", _seconds(result.warmup_s)),
        (f"a picture of {result.width}x{result.height}, {result.steps} steps", _seconds(result.mean_s)),
        ("a step", _seconds(result.step_s)),
        ("megapixel steps a second", _rate(result.megapixel_steps_per_s)),
        ("peak resident memory", size(result.rss_peak_bytes)),
        ("peak memory on the device", size(result.device_peak_bytes)),
        ("pictures counted", f"{result.pictures:,}" if result.pictures is not None else NOT_MEASURED),
    ):
        shown.add_row(name, value)
    out.print(shown)


def compared(title: str, results: Sequence[BenchResult]) -> Iterator[Table | str]:
    """Yield the table that compares them, and where each is from if that differs."""
    figures = ("a picture", "a step", "Mpx steps/s", "peak memory")
    sources = list(dict.fromkeys(row.source for row in results))
    shown = table(title, "device", "picture", *figures, *["from"] * (len(sources) > 1), right=figures)
    for row in results:
        number = [str(sources.index(row.source) + 1)] * (len(sources) > 1)
        tuned = knobs_in_words(row.knobs) if row.knobs.as_dict() else None
        shown.add_row(
            _lines(f"{row.device_name} ({row.device})", ", ".join(filter(None, (row.dtype, tuned)))),
            _lines(
                f"{row.width}x{row.height}, {row.steps} steps",
                row.scheduler,
                "without guidance" if row.guided is False else None,
                row.checkpoint.rpartition("/")[2],
            ),
            _seconds(row.mean_s),
            _seconds(row.step_s),
            _rate(row.megapixel_steps_per_s),
            _memory(row),
            *number,
        )
        shown.add_section()
    yield shown
    if len(sources) > 1:
        for place, source in enumerate(sources, start=1):
            yield f"{place}: {source}"


def _memory(row: BenchResult) -> str:
    if row.other_peak_bytes is not None:
        return size(row.other_peak_bytes)
    on_device = None if row.device_peak_bytes is None else f"{size(row.device_peak_bytes)} on device"
    return _lines(size(row.rss_peak_bytes), on_device)


def _lines(*parts: str | None) -> str:
    return "\n".join(filter(None, parts))


def _seconds(figure: Figure) -> str:
    return _shown(figure, seconds)


def _rate(figure: Figure) -> str:
    return _shown(figure, lambda value: f"{value:.3g}")


def _shown(figure: Figure, one: Callable[[float], str]) -> str:
    match figure:
        case None:
            return NOT_MEASURED
        case (low, high):
            return f"{one(low)} to {one(high)}"
        case value:
            return one(value)
