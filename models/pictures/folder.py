"""The store of pictures that is a folder below the data folder."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from models.durable_files import rename_durably, write_durably, writing_explained
from models.pictures.mark import read_mark
from models.pictures.names import NAME, PICTURES, REJECTED, batch_folder, picture_name, standing_name
from models.pictures.store import Aside, PictureStore, Use
from models.private_folders import make_private_folder
from models.types.errors import StorageError
from models.types.printable import printable

_THUMBNAILS = "thumbnails"
_NOTE = ".json"
#: Small copies, and what attempts left aside.
_OTHER_PIECE = re.compile(
    rf"{_THUMBNAILS}/batch-[0-9]{{4,}}/job-[0-9]{{8,}}\.webp"
    rf"|{PICTURES}/batch-[0-9]{{4,}}/\.job-[0-9]{{8,}}(?:-[0-9]+)?\.png\.[0-9]+(?:\.json)?"
)


class FolderStore(PictureStore):
    """The pictures below one data folder, which may be moved: a row names its picture by its path below it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def check(self) -> None:
        """Do nothing: a folder that cannot be written is waited for."""

    def path(self, name: str) -> Path:
        """Return where the picture called `name` is, or would be.

        Raises:
            StorageError: if no picture of this store is called so.
        """
        if not NAME.fullmatch(name):
            raise StorageError(f"{printable(name)} is no name of a picture: a row was changed by hand")
        return self.data_dir / name

    def free_name(self, batch_id: int, job_id: int, mark: str) -> str:
        """Return the first name under which there is no other job's picture."""
        names = (picture_name(batch_id, job_id, number=number) for number in count(1))
        return next(
            name
            for name in names
            if all(
                not path.exists() or read_mark(path) == mark
                for path in (self.path(name), self.path(standing_name(name, rejected=True)))
            )
        )

    def where(self, name: str) -> Path:
        """Return where the picture called `name` is: under its other name, where a move was cut short.

        Where it is under neither, it would be under its own.
        """
        path = self.path(name)
        is_rejected = path.parent.name == REJECTED
        other = (path.parent.parent if is_rejected else path.parent / REJECTED) / path.name
        return other if other.exists() and not path.exists() else path

    def has(self, piece: str) -> bool:
        """Tell whether there is such a file."""
        return self._file(piece).exists()

    def present_name(self, name: str) -> str:
        """Return the path below the data folder."""
        return self._piece(self.where(name))

    def mark(self, name: str) -> str | None:
        """Return what the file says.

        Raises:
            StorageError: if no file can be opened at this moment.
        """
        return read_mark(self.path(name))

    def thumbnail(self, batch_id: int, job_id: int) -> str:
        """Return the path below the data folder."""
        return f"{_THUMBNAILS}/batch-{batch_id:04d}/job-{job_id:08d}.webp"

    def names(self, batch_id: int) -> set[str]:
        """Return the names of the pictures of a batch that are there."""
        folder = batch_folder(batch_id)
        with suppress(FileNotFoundError), os.scandir(self.data_dir / folder) as files:
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
        with writing_explained(new):
            rename_durably(old, new)

    def aside(self, name: str, attempt_id: int) -> "FolderAside":
        """Return the place where an attempt puts the picture until it is known to be the job's, accepted or not."""
        path = self.path(name)
        path = path.parent.parent / path.name if path.parent.name == REJECTED else path
        return FolderAside(path, attempt_id, self.data_dir)

    def thumbnails(self) -> list[str]:
        """Return the small copies that are there."""
        return sorted(map(self._piece, (self.data_dir / _THUMBNAILS).glob("*/*.webp")))

    def is_current(self, thumbnail: str, name: str) -> bool:
        """Compare the times of the files."""
        made_at, picture_at = self.written_at(thumbnail), self.written_at(name)
        return made_at is not None and picture_at is not None and made_at >= picture_at

    def written_at(self, piece: str) -> float | None:
        """Return when a file was written, in seconds since 1970; None where there is none."""
        try:
            return self._file(piece).stat().st_mtime
        except OSError:
            return None

    def read_thumbnail(self, thumbnail: str) -> bytes:
        """Return the file."""
        file = self._file(thumbnail)
        try:
            return file.read_bytes()
        except OSError as error:
            raise StorageError(f"{file} cannot be read ({error.strerror})") from error

    def write_thumbnail(self, thumbnail: str, content: bytes) -> None:
        """Write the file beside its place, and rename it."""
        file = self._file(thumbnail)
        with writing_explained(file):
            make_private_folder(file.parent)
            new = file.with_name(f".{file.name}")
            new.write_bytes(content)
            new.replace(file)

    def pictures(self) -> Iterator[tuple[int, str]]:
        """Yield the files that have names of pictures."""
        for pattern in ("*/job-*.png", f"*/{REJECTED}/job-*.png"):
            for file in (self.data_dir / PICTURES).glob(pattern):
                # Others are a person's own.
                if NAME.fullmatch(name := self._piece(file)):
                    yield int(file.stem.split("-")[1]), name

    def use(self, pieces: Iterable[str]) -> Use:
        """Return what the files take; one with another hard link frees nothing."""
        count = total = freed = 0
        for piece in pieces:
            try:
                found = self._file(piece).lstat()
            except FileNotFoundError:
                continue
            count, total = count + 1, total + found.st_size
            freed += found.st_size if found.st_nlink == 1 else 0
        return Use(count, total, freed)

    def remove(self, piece: str) -> None:
        """Remove the file."""
        file = self._file(piece)
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{file} cannot be removed ({error.strerror}): make its folder writable") from error

    def local_file(self, piece: str) -> Path:
        """Return the file."""
        return self._file(piece)

    def shown(self, name: str) -> str:
        """Return the path."""
        return str(self.where(name))

    def shown_folder(self, batch_id: int) -> str:
        """Return the path."""
        return str(self.data_dir / batch_folder(batch_id))

    def _piece(self, file: Path) -> str:
        return file.relative_to(self.data_dir).as_posix()

    def _file(self, piece: str) -> Path:
        """Return the file of a piece.

        Raises:
            StorageError: if no piece of this store is called so.
        """
        if NAME.fullmatch(piece):
            return self.where(piece)
        if not _OTHER_PIECE.fullmatch(piece):
            raise StorageError(f"{printable(piece)} is no name of a picture: a row was changed by hand")
        return self.data_dir / piece

    def asides(self) -> "dict[int, FolderAside]":
        """Return the places where attempts left a picture, a note of it, or both, by the attempts' numbers."""
        found: dict[int, FolderAside] = {}
        for file in (self.data_dir / PICTURES).glob("*/.job-*.png.*"):
            written = file.with_suffix("") if file.suffix == _NOTE else file
            if written.suffix[1:].isdecimal():
                attempt_id = int(written.suffix[1:])
                path = written.with_name(written.stem.removeprefix("."))
                found[attempt_id] = FolderAside(path, attempt_id, self.data_dir)
        return found


@dataclass(frozen=True)
class FolderAside(Aside):
    """A file with the attempt's number, hidden beside the picture's own."""

    #: Where the picture will be, if it is accepted.
    path: Path
    attempt_id: int
    data_dir: Path

    @property
    def pieces(self) -> list[str]:
        """The paths below the data folder."""
        return [file.relative_to(self.data_dir).as_posix() for file in (self._file, self._note) if file.exists()]

    @property
    def is_there(self) -> bool:
        """Whether the picture was written, and has not got its name yet."""
        return self._file.exists()

    def write(self, content: bytes) -> None:
        """Write the picture and sync it.

        Raises:
            StorageError: if there is no room, or the folder cannot be written; nothing is left behind.
        """
        write_durably(self._file, content, self.path)

    def prepare(self, *, rejected: bool = False) -> None:
        """Do nothing: a file is renamed at once."""

    @contextmanager
    def put_in_place(self, *, rejected: bool = False) -> Iterator[None]:
        """Give the picture its name, in a way that outlasts a loss of power; lay it aside again if the block fails.

        Raises:
            StorageError: if it cannot be renamed.
        """
        path = self.path.parent / REJECTED / self.path.name if rejected else self.path
        was_there = self.is_there
        try:
            with writing_explained(path):
                rename_durably(self._file, path)
            yield
        except BaseException:
            if was_there and not self.is_there:
                path.rename(self._file)
            raise

    def read(self) -> bytes:
        """Return the picture.

        Raises:
            StorageError: if it cannot be read.
        """
        try:
            return self._file.read_bytes()
        except OSError as error:
            raise StorageError(f"{self._file} cannot be read ({error.strerror})") from error

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
