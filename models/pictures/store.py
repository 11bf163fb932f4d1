"""The store of pictures: a folder below the data folder, and the one place that knows how files are called in it.

Names are made of numbers alone, so no prompt and no batch's name can steer them. A row names its picture by its path
below the data folder, which may be moved. The numbers are a database's: beside one that was begun anew, or brought back
from a copy, there are pictures of other jobs that had the same. Those stay, and a picture gets another name.
"""

import errno
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from models.private_folders import make_private_folder
from models.types.errors import StorageError, lacks_file_handle
from models.types.printable import printable

_PICTURES = "pictures"
_REJECTED = "rejected"
_THUMBNAILS = "thumbnails"
_NOTE = ".json"
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


#: What names look like. A row says what a picture is called, and whoever writes rows is not to reach any other file.
_NAME = re.compile(rf"{_PICTURES}/batch-[0-9]{{4,}}/(?:{_REJECTED}/)?job-[0-9]{{8,}}(?:-[0-9]+)?\.png")


def picture_name(batch_id: int, job_id: int, *, number: int = 1, rejected: bool = False) -> str:
    """Return a name that a job's picture has in rows and in the store; rejected ones lie in a folder of their own.

    A `number` beyond 1 is for a job whose name is taken by a picture of another.
    """
    stem = f"job-{job_id:08d}" if number == 1 else f"job-{job_id:08d}-{number}"
    return standing_name(f"{_folder(batch_id)}/{stem}.png", rejected=rejected)


def standing_name(name: str, *, rejected: bool) -> str:
    """Return the name that the picture called `name` has if it is rejected, or if it is not."""
    folder, _, file = name.rpartition("/")
    folder = folder.removesuffix(f"/{_REJECTED}")
    return f"{folder}/{_REJECTED}/{file}" if rejected else f"{folder}/{file}"


def is_first_name(name: str) -> bool:
    """Tell whether no other job's picture was in the way when the picture got its name."""
    return "-" not in Path(name).stem.removeprefix("job-")


def _folder(batch_id: int) -> str:
    return f"{_PICTURES}/batch-{batch_id:04d}"


class PictureStore:
    """The pictures below one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def folder(self, batch_id: int) -> Path:
        """Return where a person finds the pictures of a batch."""
        return self._data_dir / _folder(batch_id)

    def path(self, name: str) -> Path:
        """Return where the picture called `name` is, or would be.

        Raises:
            StorageError: if no picture of this store is called so.
        """
        if not _NAME.fullmatch(name):
            raise StorageError(f"{printable(name)} is no name of a picture: a row was changed by hand")
        return self._data_dir / name

    def free_name(self, batch_id: int, job_id: int, is_same: Callable[[Path], bool]) -> str:
        """Return the first name of a job's picture under which there is no other job's, accepted or rejected.

        `is_same` tells of a file whether it is the job's own, made by an earlier attempt.
        """
        names = (picture_name(batch_id, job_id, number=number) for number in count(1))
        return next(
            name
            for name in names
            if all(
                not path.exists() or is_same(path)
                for path in (self.path(name), self.path(standing_name(name, rejected=True)))
            )
        )

    def where(self, name: str) -> Path:
        """Return where the picture called `name` is: under its other name, where a move was cut short.

        Where it is under neither, it would be under its own.
        """
        path = self.path(name)
        is_rejected = path.parent.name == _REJECTED
        other = (path.parent.parent if is_rejected else path.parent / _REJECTED) / path.name
        return other if other.exists() and not path.exists() else path

    def thumbnail(self, batch_id: int, job_id: int) -> Path:
        """Return where the small copy of a job's picture is, or would be."""
        return self._data_dir / _THUMBNAILS / f"batch-{batch_id:04d}" / f"job-{job_id:08d}.webp"

    def names(self, batch_id: int) -> set[str]:
        """Return the names of the pictures of a batch that are there."""
        folder = _folder(batch_id)
        with suppress(FileNotFoundError), os.scandir(self._data_dir / folder) as files:
            return {f"{folder}/{file.name}" for file in files}
        return set()

    def read(self, name: str) -> bytes:
        """Return the file of the picture called `name`, also where a move of it was cut short.

        Raises:
            StorageError: if it is not there, or cannot be read.
        """
        try:
            return self.where(name).read_bytes()
        except OSError as error:
            raise StorageError(f"{self.path(name)} cannot be read ({error.strerror}): bring it back") from error

    def move(self, name: str, to: str) -> None:
        """Give a picture another name; one that has it already, since the last try was cut short, is left as it is.

        Raises:
            StorageError: if it is under neither name, or cannot be renamed.
        """
        old, new = self.path(name), self.path(to)
        if old == new or (new.exists() and not old.exists()):
            return
        with _explained(new):
            _rename(old, new)

    def aside(self, name: str, attempt_id: int) -> "Aside":
        """Return the place where an attempt puts the picture until it is known to be the job's, accepted or not."""
        path = self.path(name)
        return Aside(path.parent.parent / path.name if path.parent.name == _REJECTED else path, attempt_id)

    def thumbnails(self) -> list[Path]:
        """Return the small copies of pictures that are there."""
        return sorted((self._data_dir / _THUMBNAILS).glob("*/*.webp"))

    def pictures(self) -> Iterator[tuple[int, Path]]:
        """Yield the pictures that have their names, accepted or rejected, each with its job's number."""
        for pattern in ("*/job-*.png", f"*/{_REJECTED}/job-*.png"):
            for file in (self._data_dir / _PICTURES).glob(pattern):
                number = file.stem.removeprefix("job-").partition("-")[0]
                if number.isdecimal():
                    yield int(number), file

    def asides(self) -> dict[int, "Aside"]:
        """Return the places where attempts left a picture, a note of it, or both, by the attempts' numbers."""
        found = {}
        for file in (self._data_dir / _PICTURES).glob("*/.job-*.png.*"):
            written = file.with_suffix("") if file.suffix == _NOTE else file
            if written.suffix[1:].isdecimal():
                attempt_id = int(written.suffix[1:])
                found[attempt_id] = Aside(written.with_name(written.stem.removeprefix(".")), attempt_id)
        return found


@dataclass(frozen=True)
class Aside:
    """A picture that an attempt wrote, before the picture has its name: whole and synced, and no other's."""

    #: Where the picture will be, if it is accepted.
    path: Path
    attempt_id: int

    @property
    def files(self) -> list[Path]:
        """What of the picture and its note is there."""
        return [file for file in (self._file, self._note) if file.exists()]

    @property
    def is_there(self) -> bool:
        """Whether the picture was written, and has not got its name yet."""
        return self._file.exists()

    def write(self, content: bytes) -> None:
        """Write the picture and sync it.

        Raises:
            StorageError: if there is no room, or the folder cannot be written; nothing is left behind.
        """
        with _explained(self.path):
            make_private_folder(self._file.parent)
            try:
                with self._file.open("wb") as file:
                    file.write(content)
                    file.flush()
                    _sync(file.fileno())
            except BaseException:
                self._file.unlink(missing_ok=True)
                raise

    @contextmanager
    def put_in_place(self, *, rejected: bool = False) -> Iterator[None]:
        """Give the picture its name, in a way that outlasts a loss of power; lay it aside again if the block fails.

        Raises:
            StorageError: if it cannot be renamed.
        """
        path = self.path.parent / _REJECTED / self.path.name if rejected else self.path
        was_there = self.is_there
        try:
            with _explained(path):
                _rename(self._file, path)
            yield
        except BaseException:
            if was_there and not self.is_there:
                path.rename(self._file)
            raise

    def write_note(self, content: bytes) -> None:
        """Write what is to be known of the picture beside it.

        Raises:
            OSError: if it cannot be written; nothing is left behind.
        """
        try:
            self._note.write_bytes(content)
        except OSError:
            self._note.unlink(missing_ok=True)
            raise

    def read_note(self) -> bytes:
        """Return what was written beside the picture.

        Raises:
            OSError: if there is nothing, or it cannot be read.
        """
        return self._note.read_bytes()

    def remove(self) -> None:
        """Remove the picture and its note; what cannot be removed is cleared away by the worker's next start."""
        for file in (self._file, self._note):
            with suppress(OSError):
                file.unlink()

    @property
    def _file(self) -> Path:
        return self.path.with_name(f".{self.path.name}.{self.attempt_id}")

    @property
    def _note(self) -> Path:
        return self._file.with_name(f"{self._file.name}{_NOTE}")


def _rename(file: Path, path: Path) -> None:
    make_private_folder(path.parent)
    file.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        _sync(folder)
    finally:
        os.close(folder)


def _sync(descriptor: int) -> None:
    # macOS's fsync(2) leaves data in the disk's own cache, where a loss of power takes it; this does not.
    full_sync = getattr(fcntl, "F_FULLFSYNC", None)
    if full_sync is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, full_sync)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            remedy = "free some space"
        elif lacks_file_handle(error):
            remedy = "close what has many files open"
        else:
            remedy = "make its folder writable"
        raise StorageError(f"{path} cannot be written ({error.strerror}): {remedy}") from error
