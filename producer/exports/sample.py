"""One picture of a data set."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """A picture, what is said of it, and which side it is on."""

    #: Its name without suffix; no two samples have the same.
    key: str
    file: Path
    caption: str
    split: str
    #: What is known of it, by column.
    columns: Mapping[str, object]
