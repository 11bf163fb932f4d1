"""Where pictures are kept: bytes in, bytes out, under names. Nothing here knows of files."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Use:
    """What pieces of a store take."""

    files: int = 0
    size_bytes: int = 0
    #: Of it what removing them frees: a piece that an export or a page has as well stays.
    freed_bytes: int = 0


def total(uses: Iterable[Use]) -> Use:
    """Return what pieces take together that have none in common."""
    found = list(uses)
    return Use(*(sum(getattr(use, field.name) for use in found) for field in fields(Use)))


class Aside(ABC):
    """A picture that an attempt wrote, before the picture has its name: whole and synced, and no other's."""

    @property
    @abstractmethod
    def pieces(self) -> list[str]:
        """What of the picture and its note is there."""

    @property
    @abstractmethod
    def is_there(self) -> bool:
        """Whether the picture was written, and has not got its name yet."""

    @abstractmethod
    def write(self, content: bytes) -> None:
        """Write the picture, so that it outlasts a loss of power.

        Raises:
            StorageError: if it cannot be written; nothing is left behind.
        """

    @abstractmethod
    def prepare(self, *, rejected: bool = False) -> None:
        """Do what takes long of giving the picture its name, ahead of the transaction in which it gets that.

        Raises:
            StorageError: if it cannot be done now.
            NameTakenError: if another's picture has the name.
        """

    @abstractmethod
    def put_in_place(self, *, rejected: bool = False) -> AbstractContextManager[None]:
        """Give the picture its name, in a way that outlasts a loss of power; lay it aside again if the block fails.

        Raises:
            StorageError, NameTakenError: as `prepare` does.
        """

    @abstractmethod
    def write_note(self, content: bytes) -> None:
        """Write what is to be known of the picture beside it.

        Raises:
            OSError: if it cannot be written; nothing is left behind.
        """

    @abstractmethod
    def read_note(self) -> bytes:
        """Return what was written beside the picture.

        Raises:
            OSError: if there is nothing, or it cannot be read.
        """

    @abstractmethod
    def remove(self) -> None:
        """Remove the picture and its note; what cannot be removed is cleared away by the worker's next start."""


class PictureStore(ABC):
    """The pictures of one database, and small copies of them.

    A row names its picture. A picture that was accepted or rejected after all is moved to its other name, and is found
    under either where a move was cut short. A piece is what is stored by itself: a picture by its name, a small copy,
    or what an attempt left aside.
    """

    @abstractmethod
    def check(self) -> None:
        """See that pictures are safe in the store.

        Raises:
            StorageError: it cannot be reached now.
            SettingsError: it does not do what it has to.
        """

    @abstractmethod
    def free_name(self, batch_id: int, job_id: int, mark: str) -> str:
        """Return the first name of a job's picture under which there is no other job's, accepted or rejected.

        One that bears the mark is the job's own, made by an earlier attempt, and may give way.
        """

    @abstractmethod
    def has(self, piece: str) -> bool:
        """Tell whether a piece is there."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return the picture called `name`.

        Raises:
            StorageError: if it is not there, or cannot be read, or no picture of this store is called so.
        """

    @abstractmethod
    def move(self, name: str, to: str) -> None:
        """Give a picture another name; one that has it already, since the last try was cut short, is left as it is.

        Raises:
            StorageError: if it is under neither name, or cannot be renamed.
        """

    @abstractmethod
    def names(self, batch_id: int) -> set[str]:
        """Return the names of the pictures of a batch that are there."""

    @abstractmethod
    def aside(self, name: str, attempt_id: int) -> Aside:
        """Return the place where an attempt puts the picture until it is known to be the job's, accepted or not."""

    @abstractmethod
    def asides(self) -> Mapping[int, Aside]:
        """Return the places where attempts left a picture, a note of it, or both, by the attempts' numbers."""

    @abstractmethod
    def pictures(self) -> Iterator[tuple[int, str]]:
        """Yield the pictures that have their names, accepted or rejected, each with its job's number."""

    @abstractmethod
    def present_name(self, name: str) -> str:
        """Return the name under which the picture called `name` is now."""

    @abstractmethod
    def mark(self, name: str) -> str | None:
        """Return what a picture says of whose it is, as `models.pictures.mark.read_mark` does."""

    @abstractmethod
    def thumbnail(self, batch_id: int, job_id: int) -> str:
        """Return what the small copy of a job's picture is called."""

    @abstractmethod
    def thumbnails(self) -> list[str]:
        """Return the small copies that are there."""

    @abstractmethod
    def is_current(self, thumbnail: str, name: str) -> bool:
        """Tell whether the small copy is there, and newer than the picture called `name`, which is there, too."""

    @abstractmethod
    def read_thumbnail(self, thumbnail: str) -> bytes:
        """Return a small copy.

        Raises:
            StorageError: if it is not there, or cannot be read.
        """

    @abstractmethod
    def write_thumbnail(self, thumbnail: str, content: bytes) -> None:
        """Write a small copy, whole or not at all.

        Raises:
            StorageError: if it cannot be written.
        """

    @abstractmethod
    def use(self, pieces: Iterable[str]) -> Use:
        """Return what these take; one that is not there takes nothing."""

    @abstractmethod
    def remove(self, piece: str) -> None:
        """Remove one, unless it is not there.

        Raises:
            StorageError: if it cannot be removed.
        """

    @abstractmethod
    def local_file(self, piece: str) -> Path | None:
        """Return its file on this disk, for what makes a link to it; None where it has none."""

    @abstractmethod
    def shown(self, name: str) -> str:
        """Return where a person finds the picture called `name`."""

    @abstractmethod
    def shown_folder(self, batch_id: int) -> str:
        """Return where a person finds the pictures of a batch."""
