"""What a job needs of a device, and what the device gives.

What has to be in memory, what runs together, what takes as long as each other and what a figure is grouped by: all of
that is made of the parts here, in Python and, by `identity_columns`, in SQL. A class has the fields of all parts that
it is made of, so that `Kind.of(spec)` and `Shape.of(kind)` take from anything that has them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True)
class Identity:
    """A part, or several; equal ones are the same to a device."""

    @classmethod
    def of(cls, what: Any) -> Self:
        """Return the identity of what has its fields, such as a job's specification or another identity."""
        return cls(*(getattr(what, field.name) for field in fields(cls)))


@dataclass(frozen=True)
class Weights(Identity):
    """What has to be in memory for a job; where any part differs, the device has to load."""

    checkpoint: str


@dataclass(frozen=True)
class Shape(Identity):
    """What kernels are compiled for; the first picture of each shape is untypical."""

    width: int
    height: int
    #: Whether two prompts go through the denoiser at once, or one, which is half the work.
    guided: bool


@dataclass(frozen=True)
class Setup(Shape, Weights):
    """What a device is set up for: jobs of one setup run together."""

    #: As `models.types.lora` lists them.
    lora: str


@dataclass(frozen=True)
class Kind(Shape, Weights):
    """What decides how long a job takes on one device: jobs of one kind take as long as each other."""

    steps: int
    scheduler: str


@dataclass(frozen=True)
class Knobs(Identity):
    """What a person or a trial may set of how a device works; None is what a row does not say.

    A load's row has them as one JSON object, so that the next one needs no migration.
    """

    attention_slicing: bool | None = None

    def as_dict(self) -> dict[str, object]:
        """Return those that are known, in the order of their names: equal ones are equal as JSON."""
        return {name: value for name, value in sorted(asdict(self).items()) if value is not None}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any] | None) -> Self:
        """Return what a row keeps; what it says beyond these is of a version that knows more."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in (kept or {}).items() if name in known})


@dataclass(frozen=True)
class Tuning(Identity):
    """How a device makes pictures."""

    device_name: str
    device: str
    dtype: str
    knobs: Knobs


@dataclass(frozen=True)
class Configuration(Weights, Tuning):
    """What decides how fast pictures of one kind are made and what memory that takes: paces of two are not averaged."""
