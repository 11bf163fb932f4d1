"""What a job needs of a device, and what the device gives.

What has to be in memory, what runs together, what takes as long as each other and what a figure is grouped by: all of
that is made of the parts here, in Python and, by `identity_columns`, in SQL. A class has the fields of all parts that
it is made of, so that `Kind.of(spec)` and `Shape.of(kind)` take from anything that has them.
"""

from dataclasses import dataclass, fields
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


@dataclass(frozen=True)
class Kind(Setup):
    """What decides how long a job takes on one device: jobs of one kind take as long as each other."""

    steps: int
    scheduler: str


@dataclass(frozen=True)
class Tuning(Identity):
    """How a device makes pictures."""

    device_name: str
    device: str
    dtype: str
    #: None in rows of a version that did not say.
    attention_slicing: bool | None


@dataclass(frozen=True)
class Setting(Weights, Tuning):
    """What decides how fast pictures of one kind are made and what memory that takes: paces of two are not averaged."""
