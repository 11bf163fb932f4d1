"""Writing files for people: whole or not at all, and with one line where that cannot be."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.types.errors import StorageError


def put_file(source: Path, target: Path) -> None:
    """Have the file at another place, too: by a hard link where the disk has them, else by a copy.

    Raises:
        StorageError: if it cannot be put there.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            if target.samefile(source) or target.stat().st_size == source.stat().st_size:
                return
            target.unlink()
        try:
            os.link(source, target)
        except OSError:
            with new_file(target) as new:
                shutil.copyfile(source, new)
    except OSError as error:
        raise explained(target, error) from error


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """Give the path of a file to be written, which gets its name after the block: it is there whole or not at all.

    Raises:
        StorageError: if it cannot be written.
    """
    new = target.with_name(f".{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield new
        new.replace(target)
    except OSError as error:
        raise explained(target, error) from error


def write_text(target: Path, content: str) -> None:
    """Write a text file, whole or not at all.

    Raises:
        StorageError: if it cannot be written.
    """
    with new_file(target) as new:
        new.write_text(content, encoding="utf-8")


def explained(target: Path, error: OSError) -> StorageError:
    """Return what cannot be written, why, and what to do."""
    return StorageError(
        f"{target} cannot be written ({error.strerror or error}); free some space, or name another folder"
    )
