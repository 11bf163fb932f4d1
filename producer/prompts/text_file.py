"""The lines of a text file or of standard input, seen to be UTF-8 text as they are read."""

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any

#: Keeps a mistaken endless source from being read for ever; a million prompts are shorter.
MAX_BYTES = 256 * 2**20
_BLOCK = 2**16


class UnreadableError(Exception):
    """A source is no text, or cannot be read; the message says why."""


def read_lines(source: str) -> Iterator[tuple[int, str]]:
    """Yield each line of file `source`, or of standard input if that is `-`, with its number from 1 on.

    A byte that is not UTF-8 is a lone surrogate in its line, which no UTF-8 text holds: see `not_utf8`.

    Raises:
        UnreadableError: where it cannot be opened, is no text, or is too large.
    """
    try:
        with _opened(source) as file:
            data = io.BufferedReader(_TextOnly(file), _BLOCK)
            yield from enumerate(io.TextIOWrapper(data, encoding="utf-8-sig", errors="surrogateescape"), 1)
    except FileNotFoundError:
        raise UnreadableError("there is no such file") from None
    except IsADirectoryError:
        raise UnreadableError("is a folder; name a file in it") from None
    except PermissionError:
        raise UnreadableError("may not be read by you; change its permissions") from None
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        # What Python says of a name that no file can have.
        raise UnreadableError(f"cannot be read: {error}") from None


def not_utf8(line: str) -> str | None:
    """Say which byte of a line is not UTF-8; None where all are."""
    try:
        line.encode()
    except UnicodeEncodeError as error:
        byte = len(line[: error.start].encode()) + 1
        value = ord(line[error.start]) & 0xFF
        return f"byte {byte} (0x{value:02x}) is not UTF-8; save the file as UTF-8"
    return None


def _opened(source: str) -> AbstractContextManager[IO[bytes]]:
    if source != "-":
        return Path(source).open("rb")
    return nullcontext(io.BytesIO() if sys.stdin is None else sys.stdin.buffer)


class _TextOnly(io.RawIOBase):
    """The bytes of a file, seen to be text as they are read: a film, or what never ends, is refused at once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = self._lines = self._promised = 0
        # A pipe does not know its length, and what is no real file has no number.
        with suppress(OSError):
            self._promised = os.fstat(file.fileno()).st_size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._file.read(len(buffer))
        if self._size == 0 and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise UnreadableError("is UTF-16 text; save it as UTF-8")
        if (nul := data.find(b"\0")) >= 0:
            line = self._lines + data.count(b"\n", 0, nul) + 1
            raise UnreadableError(f"looks like a binary file, line {line} has a NUL byte; name a text file")
        self._size += len(data)
        self._lines += data.count(b"\n")
        if max(self._size, self._promised) > MAX_BYTES:
            raise UnreadableError(f"is larger than {MAX_BYTES // 2**20} MiB; split it")
        buffer[: len(data)] = data
        return len(data)
