"""One picture of a data set."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.pictures.store import PictureStore
from producer.exports.resizing import Resizing
from producer.files import new_file, put_file


@dataclass(frozen=True)
class Sample:
    """A picture, what is said of it, and which side it is on."""

    #: Its name without suffix; no two samples have the same.
    key: str
    store: PictureStore
    #: What it is called there.
    picture: str
    caption: str
    split: str
    #: What is known of it, by column.
    columns: Mapping[str, object]
    #: None where it is taken as it is.
    resizing: Resizing | None = None

    def content(self) -> bytes:
        """Return the picture's file as the data set has it."""
        content = self.store.read(self.picture)
        return content if self.resizing is None else self.resizing.content(content)

    def put(self, target: Path) -> None:
        """Have the picture at a place of the data set, unless it is there already.

        Raises:
            StorageError: if it cannot be put there.
        """
        file = None if self.resizing else self.store.local_file(self.picture)
        if file is not None:
            put_file(file, target)
        elif not target.exists():
            with new_file(target) as new:
                new.write_bytes(self.content())


TRAIN, TEST = "train", "test"


def prompts_for_testing(prompts: Collection[str], share: float) -> set[str]:
    """Return the prompts for testing, `share` of them and at least one of several; the same ones each time."""
    if share <= 0 or len(prompts) < 2:
        return set()
    # By digest: in an order that has nothing to do with how the prompts are written or came.
    ordered = sorted(set(prompts), key=lambda prompt: hashlib.sha256(prompt.encode()).digest())
    return set(ordered[: min(max(1, round(share * len(ordered))), len(ordered) - 1)])
