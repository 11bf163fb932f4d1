"""Files of what machines were measured to do, by `producer bench` or by others, and the table that compares them."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, computed_field
from rich.console import Console
from rich.table import Table

from models.figures.hardware import Pace
from models.types.errors import BadInputError
from producer.format import NOT_MEASURED, attention, seconds, size, table
from producer.prompts.problems import MOST_SHOWN

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
#: Seconds, or the lowest and the highest where no more is known.
Figure = _Positive | tuple[_Positive, _Positive] | None
_Bytes = Annotated[int, Field(gt=0)] | None


class BenchResult(BaseModel):
    """One device at one kind of picture; None is "not measured"."""

    model_config = ConfigDict(frozen=True)

    #: Who measured it.
    source: str
    measured_on: date | None = None
    device_name: str
    device: str
    chip: str | None = None
    threads: int | None = None
    memory_total_bytes: _Bytes = None
    versions: dict[str, str] = {}
    dtype: str | None = None
    attention_slicing: bool | None = None
    checkpoint: str
    revision: str | None = None
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    steps: int = Field(gt=0)
    scheduler: str | None = None
    #: None in files that do not say; most pictures are guided.
    guided: bool | None = None
    pictures: int | None = None
    load_s: Figure = None
    warmup_s: Figure = None
    #: Seconds a picture in steady state.
    mean_s: Figure = None
    #: Seconds of a denoising step.
    step_s: Figure = None
    rss_peak_bytes: _Bytes = None
    device_peak_bytes: _Bytes = None
    #: A peak of which its source does not say whether it is the process's, the device's or the machine's.
    other_peak_bytes: _Bytes = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def megapixel_steps_per_s(self) -> Figure:
        """How many million pixels are taken a denoising step further in a second, a picture's whole time counted."""
        work = self.width * self.height * self.steps / 1e6
        match self.mean_s:
            case None:
                return None
            case (low, high):
                return work / high, work / low
            case mean_s:
                return work / mean_s


class BenchFile(BaseModel):
    """What such a file holds."""

    version: Literal[1] = 1
    results: list[BenchResult] = Field(min_length=1)


def read_bench_file(file: Path) -> list[BenchResult]:
    """Return the results in a file.

    Raises:
        BadInputError: if it is none.
    """
    try:
        return BenchFile.model_validate_json(file.read_bytes()).results
    except OSError as error:
        raise BadInputError([f"{file} cannot be read: {error.strerror or error}"]) from None
    except ValidationError as error:
        problems = error.errors(include_url=False)[:MOST_SHOWN]
        said = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}".removeprefix(": ") for each in problems)
        raise BadInputError([f"{file} is no file of `producer bench`: {said}"]) from None


def from_pace(pace: Pace, source: str) -> BenchResult:
    """Return a pace as such a file has it."""
    return BenchResult.model_validate({"source": source} | vars(pace))


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
        slicing = None if row.attention_slicing is None else f"{attention(row.attention_slicing)} attention"
        shown.add_row(
            _lines(f"{row.device_name} ({row.device})", ", ".join(filter(None, (row.dtype, slicing)))),
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
