"""A process of `producer`'s own that runs a module, so that torch is imported there, and that says things meanwhile."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def child_process(module: str, *arguments: str, complaints: IO[str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Give the process, whose output is read by the block, and wait for its end; Ctrl+C within the block ends it.

    What it complains of goes to the file `complaints`, else where this program's own complaints go.
    """
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True) as process:
        try:
            yield process
        except BaseException:
            # It has the device, which whoever comes next would find taken.
            process.terminate()
            process.wait()
            raise
