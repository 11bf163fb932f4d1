"""Reading prompts from a text, CSV or JSON-lines file, or from standard input."""

import codecs
import csv
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import chain
from pathlib import Path
from typing import IO, Any

from models.errors import BadInputError
from models.job import MAX_PROMPT, JobSpec
from producer.option_lines import has_options, parse_options
from producer.problems import MOST_SHOWN, place, refuse, visible
from producer.request import Request

#: What a CSV column or a JSON key may be called: the names of the flags.
KEYS = (*JobSpec.model_fields, "count")
#: Keeps a mistaken endless source from being read for ever; a million prompts are shorter.
MAX_BYTES = 256 * 2**20
_BLOCK = 2**16

_Line = tuple[int, str]
_Record = tuple[int, Mapping[str, object]]
_Complain = Callable[[int | None, str], None]


def read_requests(source: str) -> Iterator[Request]:
    """Read the file `source`, or standard input if that is `-`, in the format that its suffix names, line by line.

    `.csv` has a header row, `.jsonl` and `.ndjson` an object a line, anything else a prompt a line, or options
    such as `--prompt a red shoe --steps 20`; `.json` and `.tsv` are refused, since their lines are no prompts.
    Blank lines and lines that start with `#` do not count.

    Raises:
        BadInputError: naming every line that cannot be used; after the last line, or at once where it is no text.
    """
    problems: list[str] = []

    def complain(line: int | None, what: str) -> None:
        problems.append(f"{place(source, line)}: {what}")

    empty = True
    parse = _PARSERS.get(Path(source).suffix.lower(), _parse_text)
    for line, values in parse(_decode(source, complain), complain):
        prompt = values.get("prompt", "")
        if prompt == "":
            complain(line, "has no prompt; write one, or take the line out")
        elif isinstance(prompt, str) and len(prompt) > MAX_PROMPT:
            complain(line, f"prompt: is {len(prompt):,} characters long, the most is {MAX_PROMPT:,}; shorten it")
        empty = False
        yield Request(line, values)
    if empty and not problems:
        complain(None, "has no prompt in it; write one a line")
    refuse(problems)


class _TextOnly(io.RawIOBase):
    """The bytes of a file, seen to be text as they are read: a film, or what never ends, is refused at once."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._size = self._lines = self._promised = 0
        # A pipe does not know its length, and what is no real file has no number.
        with suppress(OSError):
            self._promised = os.fstat(file.fileno()).st_size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._file.read(len(buffer))
        if self._size == 0 and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise _refusal(self._name, "is UTF-16 text; save it as UTF-8")
        if (nul := data.find(b"\0")) >= 0:
            line = self._lines + data.count(b"\n", 0, nul) + 1
            what = f"looks like a binary file, line {line} has a NUL byte; name a text, .csv or .jsonl file"
            raise _refusal(self._name, what)
        self._size += len(data)
        self._lines += data.count(b"\n")
        if max(self._size, self._promised) > MAX_BYTES:
            raise _refusal(self._name, f"is larger than {MAX_BYTES // 2**20} MiB; split it")
        buffer[: len(data)] = data
        return len(data)


def _refusal(source: str, what: str) -> BadInputError:
    return BadInputError([f"{place(source)}: {what}"])


def _decode(source: str, complain: _Complain) -> Iterator[_Line]:
    try:
        with _opened(source) as file:
            data = io.BufferedReader(_TextOnly(file, source), _BLOCK)
            # A bad byte becomes a lone surrogate, which no UTF-8 holds: reading goes on and finds the other problems.
            text = io.TextIOWrapper(data, encoding="utf-8-sig", errors="surrogateescape")
            yield from _checked(text, complain)
    except FileNotFoundError:
        raise _refusal(source, "there is no such file") from None
    except IsADirectoryError:
        raise _refusal(source, "is a folder; name a file in it") from None
    except PermissionError:
        raise _refusal(source, "may not be read by you; change its permissions") from None
    except OSError as error:
        raise _refusal(source, f"cannot be read: {error.strerror or error}") from None


def _opened(source: str) -> AbstractContextManager[IO[bytes]]:
    if source != "-":
        return Path(source).open("rb")
    return nullcontext(io.BytesIO() if sys.stdin is None else sys.stdin.buffer)


def _checked(text: Iterable[str], complain: _Complain) -> Iterator[_Line]:
    for number, line in enumerate(text, 1):
        try:
            line.encode()
        except UnicodeEncodeError as error:
            byte = len(line[: error.start].encode()) + 1
            value = ord(line[error.start]) - 0xDC00
            complain(number, f"byte {byte} (0x{value:02x}) is not UTF-8; save the prompts as UTF-8")
        yield number, line


def _counts(numbered: _Line) -> bool:
    text = numbered[1].lstrip()
    return text != "" and not text.startswith("#")


def _parse_text(lines: Iterator[_Line], complain: _Complain) -> Iterator[_Record]:
    for number, line in filter(_counts, lines):
        if not has_options(line):
            yield number, {"prompt": line.strip()}
            continue
        try:
            yield number, parse_options(line)
        except ValueError as error:
            complain(number, str(error))


def _parse_csv(lines: Iterator[_Line], complain: _Complain) -> Iterator[_Record]:
    # csv's own limit would cut short the two messages that help: how long a prompt is, where a quote is left open.
    csv.field_size_limit(MAX_BYTES)
    columns: list[str] | None = None
    for number, line in filter(_counts, lines):
        # One reader a record: it takes just the lines that the record runs over, and the next one's number is known.
        record = chain([line], (more for _, more in lines))
        try:
            cells = [cell.strip() for cell in next(csv.reader(record, strict=True, skipinitialspace=True))]
        except csv.Error as error:
            complain(
                number, f"broken CSV: {error}; quote a cell that has commas or quotes in it, and double its quotes"
            )
            if columns is None:
                return
            continue
        if not any(cells):
            continue
        if columns is None:
            columns = [_canonical(cell) for cell in cells]
            if "prompt" not in columns:
                found = ", ".join(visible(cell) for cell in cells[:MOST_SHOWN])
                complain(number, f"has no column 'prompt'; the header's columns, split at commas, are {found}")
                return
            _require_known("column", columns, number, complain)
            continue
        if len(cells) > len(columns):
            complain(number, f"has {len(cells)} cells, the header {len(columns)}; quote a cell that has commas in it")
        yield number, {name: cell for name, cell in zip(columns, cells, strict=False) if cell}


def _parse_json(lines: Iterator[_Line], complain: _Complain) -> Iterator[_Record]:
    # As a tuple of pairs an object shows its doubled keys, and cannot be mistaken for an array.
    decode = json.JSONDecoder(object_pairs_hook=tuple).decode
    for number, line in filter(_counts, lines):
        try:
            record = decode(line.rstrip())
        except json.JSONDecodeError as error:
            complain(number, f"broken JSON: {error.msg} (column {error.colno}); write one object a line")
            continue
        except (ValueError, RecursionError):
            complain(number, "broken JSON: a number is too long or brackets are too deep; write one object a line")
            continue
        if not isinstance(record, tuple):
            complain(number, 'is not a JSON object; write {"prompt": "…"}')
            continue
        named = [(_canonical(key), value) for key, value in record]
        _require_known("key", [name for name, _ in named], number, complain)
        values = {}
        for name, value in named:
            if name in KEYS and isinstance(value, (list, tuple)):
                complain(number, f"{name}: is a list or an object; write text or a number")
            if value is not None:
                values[name] = value.strip() if isinstance(value, str) else value
        yield number, values


def _parse_nothing(lines: Iterator[_Line], complain: _Complain) -> Iterator[_Record]:
    complain(None, "is of a kind that is not read; prompts come as text, .csv, or .jsonl with an object a line")
    return iter(())


_PARSERS = {
    ".json": _parse_nothing,
    ".tsv": _parse_nothing,
    ".csv": _parse_csv,
    ".jsonl": _parse_json,
    ".ndjson": _parse_json,
}


def _canonical(name: str) -> str:
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split())


def _require_known(kind: str, names: Sequence[str], line: int, complain: _Complain) -> None:
    for name, times in Counter(names).items():
        if name not in KEYS:
            complain(line, f"unknown {kind} {visible(name)}; known are {', '.join(KEYS)}")
        elif times > 1:
            complain(line, f"{kind} {name} stands there {times} times; keep one")
