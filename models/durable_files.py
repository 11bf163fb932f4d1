"""Files that outlast a loss of power, or are not there at all."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.private_folders import make_private_folder
from models.types.errors import StorageError, lacks_file_handle

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


def write_durably(file: Path, content: bytes, called: Path | None = None) -> None:
    """Write a file and sync it, with its folder where that is missing; an error says that it is `called` so.

    Raises:
        StorageError: if there is no room, or the folder cannot be written; nothing is left behind.
    """
    with writing_explained(called or file):
        make_private_folder(file.parent)
        try:
            with file.open("wb") as opened:
                opened.write(content)
                opened.flush()
                _sync(opened.fileno())
        except BaseException:
            file.unlink(missing_ok=True)
            raise


def rename_durably(file: Path, path: Path) -> None:
    """Give a file another name, in whose place another may be.

    Raises:
        OSError: if it cannot be renamed.
    """
    make_private_folder(path.parent)
    file.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        _sync(folder)
    finally:
        os.close(folder)


@contextmanager
def writing_explained(path: Path) -> Iterator[None]:
    """Turn what the system says when a file cannot be written into a line that says what to do.

    Raises:
        StorageError: in place of any OSError.
    """
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


def _sync(descriptor: int) -> None:
    # macOS's fsync(2) leaves data in the disk's own cache, where a loss of power takes it; this does not.
    full_sync = getattr(fcntl, "F_FULLFSYNC", None)
    if full_sync is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, full_sync)
