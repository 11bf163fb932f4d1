"""One picture of a data set."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from producer.exports.resizing import Resizing
from producer.files import new_file, put_file


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
    #: None where it is taken as it is.
    resizing: Resizing | None = None

    def content(self) -> bytes:
        """Return the picture's file as the data set has it."""
        return self.file.read_bytes() if self.resizing is None else self.resizing.content(self.file)

    def put(self, target: Path) -> None:
        """Have the picture at a place of the data set, unless it is there already.

        Raises:
            StorageError: if it cannot be put there.
        """
        if self.resizing is None:
            put_file(self.file, target)
        elif not target.exists():
            with new_file(target) as new:
                new.write_bytes(self.content())
