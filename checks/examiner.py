"""Looking at pictures in a process of its own: neither its time nor its faults are those of the program that asks.

What looks at pixels holds Python's lock for milliseconds at a time, for which a thread that drives a device would wait.
"""

import io
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from PIL import Image

from checks.asked import Asked
from checks.duplicates import Likeness, likeness
from checks.picture import Picture
from checks.registry import Selection
from models.types.errors import ExaminerError
from models.types.finding import Finding

#: Seconds after which a process that does not answer is taken for frozen. The first look may load a model.
LIMIT_S = 300.0
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
    findings = selection.check(picture, asked)
    # Of a picture that is thrown out anyway nothing is a duplicate.
    compared = selection.seen() is not None and all(finding.passed for finding in findings)
    return Examined(findings, likeness(picture) if compared else None)


def start_process() -> subprocess.Popen[bytes]:
    """Start a process that looks at what is written to it.

    Raises:
        OSError, MemoryError: if the system starts none.
    """
    return subprocess.Popen(
        # A folder of that name where a person happens to be is not ours.
        [sys.executable, "-P", "-m", "checks"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | _ONE_THREAD,
        # Ctrl+C in a terminal is for the program that asks; when that is gone, there is no more to read.
        start_new_session=True,
    )


class Examiner:
    """A process that looks at one picture after the other; it is started with the first, and again if it went away."""

    def __init__(self, limit_s: float = LIMIT_S, start: Callable[[], subprocess.Popen[bytes]] = start_process) -> None:
        """Take a process that has not answered for `limit_s` seconds for frozen, and end it; `start` starts one."""
        self._limit_s = limit_s
        self._start_process = start
        self._process: subprocess.Popen[bytes] | None = None

    def examine(self, content: bytes, asked: Asked, selection: Selection) -> Examined:
        """Look at the picture in a file's content.

        A picture that takes the process down is rejected for that, and nobody else is taken down with it. It has to be
        the picture: with another one of its size the process lives.

        Raises:
            ExaminerError: nobody could look, for a reason that is not the picture's; it may be another time.
        """
        for _ in range(2):
            try:
                return self._ask(content, asked, selection)
            except _GoneError:
                continue
        try:
            self._ask(_plain_picture(asked), asked, selection)
        except _GoneError as error:
            raise ExaminerError("the process that looks at pictures ends whatever it looks at") from error
        check = next(iter(selection.limits))
        return Examined([Finding(check, None, passed=False, sentence="looking at it ended the process that looked")])

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                # What could not be written is nobody's any more.
                with suppress(OSError):
                    pipe.close()
            self._process = None

    def _ask(self, content: bytes, asked: Asked, selection: Selection) -> Examined:
        if self._process is None:
            try:
                self._start()
            except _GoneError as error:
                raise ExaminerError("the process that looks at pictures ended before it was ready") from error
        examined: Examined = self._answer((content, asked, selection))
        return examined

    def _start(self) -> None:
        try:
            self._process = self._start_process()
        except (OSError, MemoryError) as error:
            what = getattr(error, "strerror", None) or type(error).__name__
            raise ExaminerError(f"the process that looks at pictures cannot be started ({what})") from error
        # It says so itself, since one that cannot import what it needs is no fault of a picture.
        self._answer(None)

    def _answer(self, question: tuple[bytes, Asked, Selection] | None) -> Any:
        """Return what the process answers, to nothing but its start where there is no question.

        Raises:
            _GoneError: it ended meanwhile.
            ExaminerError: it did not get on, or cannot be watched; it is ended.
        """
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        frozen = threading.Event()

        def give_up() -> None:
            frozen.set()
            process.kill()

        watch = threading.Timer(self._limit_s, give_up)
        watch.daemon = True
        try:
            watch.start()
            if question is not None:
                pickle.dump(question, process.stdin)
                process.stdin.flush()
            return pickle.load(process.stdout)  # noqa: S301 - of our own process
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            self.close()
            if frozen.is_set():
                what = f"the process that looks at pictures gave no answer for {self._limit_s:g} s and was ended"
                raise ExaminerError(what) from error
            raise _GoneError from error
        except (RuntimeError, MemoryError) as error:
            self.close()
            raise ExaminerError(f"the process that looks at pictures cannot be watched ({error})") from error
        finally:
            watch.cancel()


class _GoneError(Exception):
    """The process ended before it answered."""


def _plain_picture(asked: Asked) -> bytes:
    """Return the file of a picture as large as the one that was asked for."""
    file = io.BytesIO()
    Image.new("RGB", (asked.width, asked.height), "grey").save(file, "PNG")
    return file.getvalue()
