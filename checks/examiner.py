"""Looking at pictures in a process of its own: neither its time nor its faults are those of the program that asks.

What looks at pixels holds Python's lock for milliseconds at a time, for which a thread that drives a device would wait.
"""

import io
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass

from PIL import Image

from checks.asked import Asked
from checks.duplicates import Likeness, likeness
from checks.picture import Picture
from checks.registry import Selection
from models.finding import Finding

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "1"}


@dataclass(frozen=True)
class Examined:
    """What single-picture checks found, and what the picture is compared with others by."""

    findings: list[Finding]
    #: None where that is not asked for, or a check is against the picture already.
    likeness: Likeness | None = None
    #: False where there was nothing to look at, and so nothing was found.
    is_picture: bool = True


def examine(content: bytes, asked: Asked, selection: Selection) -> Examined:
    """Look at the picture in a file's content."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            picture = Picture(image, len(content))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return Examined([], is_picture=False)
    findings = selection.look(picture, asked)
    # Of a picture that is thrown out anyway nothing is a duplicate.
    compared = selection.seen() is not None and all(finding.passed for finding in findings)
    return Examined(findings, likeness(picture) if compared else None)


class Examiner:
    """A process that looks at one picture after the other; it is started with the first, and again if it went away."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def examine(self, content: bytes, asked: Asked, selection: Selection) -> Examined:
        """Look at the picture in a file's content.

        A picture that takes the process down is rejected for that, and nobody else is taken down with it.
        """
        for _ in range(2):
            try:
                return self._ask(content, asked, selection)
            except (OSError, EOFError, pickle.UnpicklingError):
                self.close()
        check = next(iter(selection.limits))
        return Examined([Finding(check, None, passed=False, sentence="looking at it ended the process that looked")])

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()
            self._process = None

    def _ask(self, content: bytes, asked: Asked, selection: Selection) -> Examined:
        if self._process is None:
            self._process = subprocess.Popen(
                # A folder of that name where a person happens to be is not ours.
                [sys.executable, "-P", "-m", "checks"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | _ONE_THREAD,
                # Ctrl+C in a terminal is for the program that asks; when that is gone, there is no more to read.
                start_new_session=True,
            )
        asking, answering = self._process.stdin, self._process.stdout
        assert asking is not None
        assert answering is not None
        pickle.dump((content, asked, selection), asking)
        asking.flush()
        examined: Examined = pickle.load(answering)  # noqa: S301 - of our own process
        return examined
