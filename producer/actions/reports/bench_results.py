"""Files of what machines were measured to do, by `producer bench` or by others."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, computed_field, model_validator

from models.figures.hardware import Pace
from models.types.errors import BadInputError
from models.types.identity import Knobs
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
    knobs: Knobs = Knobs()
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

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, values: Any) -> Any:
        """Read files that name the one knob which there was by itself."""
        if isinstance(values, dict) and "attention_slicing" in values:
            values = dict(values)
            values.setdefault("knobs", {"attention_slicing": values.pop("attention_slicing")})
        return values

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
