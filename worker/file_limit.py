"""How many files a worker may have open."""

import resource

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
