"""File handles of this process: as many as it may have, and what to do where none is free."""

import os
import resource

from models.types.errors import StorageError, lacks_file_handle

#: As many as macOS gives one process (OPEN_MAX of <sys/syslimits.h>), where the hard limit says "any number".
_ENOUGH = 10_240


def raise_file_limit() -> None:
    """Let this process open as many files as the system lets it, up to what is enough for any worker.

    macOS begins with 256, of which a checkpoint's files, pipes, sockets and databases leave few; with none left neither
    a picture nor a row can be written.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def require_file_handle() -> None:
    """Make sure that a file can be opened at this moment.

    Raises:
        StorageError: if this process, or the machine, has as many files open as it may have.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if not lacks_file_handle(error):
            raise
        raise StorageError(
            f"no file can be opened ({error.strerror}): close what has many files open, or raise `ulimit -n`"
        ) from error


def is_for_want_of_file_handle(error: BaseException) -> bool:
    """Tell whether no file could be opened when an error came, or can be now.

    Libraries have their own words for it, which do not always say what they came from.
    """
    cause: BaseException | None = error
    while cause is not None:
        if lacks_file_handle(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return not can_open_file()


def can_open_file() -> bool:
    """Tell whether a file can be opened at this moment."""
    try:
        require_file_handle()
    except StorageError:
        return False
    return True
