"""Reading prompts from a text, CSV or JSON-lines file, or from standard input."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from models.types.job import MAX_PROMPT
from producer.prompts.keys import KEYS, canonical_key
from producer.prompts.option_lines import has_options, parse_options
from producer.prompts.problems import MOST_SHOWN, Problems, place, visible
from producer.prompts.request import Request
from producer.prompts.text_file import MAX_BYTES, UnreadableError, not_utf8, read_lines

#: What stands between the cells of a CSV file; spreadsheets of many countries write semicolons.
_DELIMITERS = ",;\t"

_Line = tuple[int, str]
_Complain = Callable[[int | None, str], None]


@dataclass(frozen=True)
class _Record:
    """What one line says, by names of the flags, and its other columns where those are kept."""

    line: int
    values: Mapping[str, object]
    attributes: Mapping[str, str] = field(default_factory=dict)


def read_requests(source: str, problems: Problems, *, keep_columns: bool = False) -> Iterator[Request]:
    """Read the file `source`, or standard input if that is `-`, in the format that its suffix names, line by line.

    `.csv` and `.tsv` have a header row, `.jsonl` and `.ndjson` an object a line, anything else a prompt a line, or
    options such as `--prompt a red shoe --steps 20`; `.json` is refused, since its lines are no prompts. Blank lines do
    not count, and neither do those that start with `#`, but for the rows below a header. With `keep_columns` a column
    or key of another name is an attribute of the job.

    Whatever cannot be used is added to `problems`. A request whose prompt is missing or too long comes without it, so
    that its other values are looked at too.
    """

    def complain(line: int | None, what: str) -> None:
        problems.add(place(source, line), what)

    empty = True
    parse = _PARSERS.get(Path(source).suffix.lower(), _parse_text)
    try:
        for record in parse(_checked(read_lines(source), complain), complain, keep_columns):
            values = dict(record.values)
            prompt = values.get("prompt", "")
            if prompt == "":
                complain(record.line, "has no prompt; write one, or take the line out")
                values.pop("prompt", None)
            elif isinstance(prompt, str) and len(prompt) > MAX_PROMPT:
                what = f"prompt: is {len(prompt):,} characters long, the most is {MAX_PROMPT:,}; shorten it"
                complain(record.line, what)
                del values["prompt"]
            empty = False
            yield Request(record.line, values, record.attributes)
    except UnreadableError as error:
        complain(None, str(error))
    if empty and not problems:
        complain(None, "has no prompt in it; write one a line")


def _checked(lines: Iterable[_Line], complain: _Complain) -> Iterator[_Line]:
    """Yield all lines; reading goes on behind one that is not UTF-8, to find the other problems."""
    for number, line in lines:
        if wrong := not_utf8(line):
            complain(number, wrong)
        yield number, line


def _is_blank(numbered: _Line) -> bool:
    return not numbered[1].strip()


def _is_remark(numbered: _Line) -> bool:
    return numbered[1].lstrip().startswith("#")


def _that_count(lines: Iterable[_Line]) -> Iterator[_Line]:
    return (numbered for numbered in lines if not _is_blank(numbered) and not _is_remark(numbered))


def _parse_text(lines: Iterator[_Line], complain: _Complain, _keep: bool) -> Iterator[_Record]:
    for number, line in _that_count(lines):
        if not has_options(line):
            yield _Record(number, {"prompt": line.strip()})
            continue
        try:
            yield _Record(number, parse_options(line))
        except ValueError as error:
            complain(number, str(error))


def _parse_csv(lines: Iterator[_Line], complain: _Complain, keep: bool) -> Iterator[_Record]:
    # csv's own limit would cut short the two messages that help: how long a prompt is, where a quote is left open.
    csv.field_size_limit(MAX_BYTES)
    columns: _Columns | None = None
    delimiter = ","
    for number, line in lines:
        if _is_blank((number, line)):
            continue
        if columns is None:
            found = _delimiter(line)
            # Above the header only: below it a row that begins with # is data.
            if found is None and _is_remark((number, line)):
                continue
            delimiter = found or ","
        # One reader a record: it takes just the lines that the record runs over, and the next one's number is known.
        record = chain([line], (more for _, more in lines))
        try:
            cells = [cell.strip() for cell in next(_reader(record, delimiter))]
        except csv.Error as error:
            complain(
                number, f"broken CSV: {error}; quote a cell that has commas or quotes in it, and double its quotes"
            )
            if columns is None:
                return
            continue
        if not any(cells):
            continue
        # Spreadsheets put a comma behind the last cell of a row that another is longer than.
        while not cells[-1] and (columns is None or len(cells) > len(columns.names)):
            cells.pop()
        if columns is None:
            columns = _Columns("column", cells)
            if "prompt" not in columns.names:
                found = ", ".join(visible(cell) for cell in cells[:MOST_SHOWN])
                complain(number, f"has no column 'prompt'; the header's columns, split at commas, are {found}")
                return
            columns.complain(number, complain, keep=keep)
            continue
        if len(cells) > len(columns.names):
            complain(
                number, f"has {len(cells)} cells, the header {len(columns.names)}; quote a cell that has commas in it"
            )
            continue
        yield _Record(number, *columns.split({place: cell for place, cell in enumerate(cells) if cell}))


def _reader(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)


def _delimiter(header: str) -> str | None:
    """Return what the header's columns are parted by: what makes one of them the prompt; None if nothing does."""
    for delimiter in _DELIMITERS:
        try:
            cells = next(_reader([header], delimiter), [])
        except csv.Error:
            # A quote may be closed in a later line.
            continue
        if "prompt" in map(canonical_key, cells):
            return delimiter
    return None


def _parse_json(lines: Iterator[_Line], complain: _Complain, keep: bool) -> Iterator[_Record]:
    # As a tuple of pairs an object shows its doubled keys, and cannot be mistaken for an array.
    decode = json.JSONDecoder(object_pairs_hook=tuple).decode
    for number, line in _that_count(lines):
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
        columns = _Columns("key", [key for key, _ in record])
        columns.complain(number, complain, keep=keep)
        values = {
            place: value.strip() if isinstance(value, str) else value
            for place, (_, value) in enumerate(record)
            if value is not None
        }
        if keep:
            for place, name in columns.others.items():
                if wrong := _why_not_kept(values.get(place)):
                    complain(number, f"{visible(name)}: {wrong}")
                    del values[place]
        yield _Record(number, *columns.split(values))


class _Columns:
    """The names in a header or an object, by what each means."""

    def __init__(self, kind: str, written: Sequence[str]) -> None:
        self._kind = kind
        self._written = [" ".join(name.split()) for name in written]
        self.names = [canonical_key(name) for name in written]

    @property
    def others(self) -> dict[int, str]:
        """The names that mean nothing here, by their places."""
        return {place: self._written[place] for place, name in enumerate(self.names) if name not in KEYS}

    def complain(self, line: int, complain: _Complain, *, keep: bool) -> None:
        """Say which names are not known, and which stand there twice."""
        known = f"known are {', '.join(KEYS)}; --keep-columns keeps others as attributes of the jobs"
        by_name: dict[str, list[str]] = {}
        for name, written in zip(self.names, self._written, strict=True):
            by_name.setdefault(name if name in KEYS else written, []).append(written)
        for name, meant in by_name.items():
            if not name:
                complain(line, f"a {self._kind} has no name; write one, or take it out")
            elif name not in KEYS and not keep:
                complain(line, f"unknown {self._kind} {visible(name)}; {known}")
            elif len(set(meant)) > 1:
                complain(line, f"{self._kind}s {' and '.join(map(visible, meant))} all mean {name}; keep one")
            elif len(meant) > 1:
                complain(line, f"{self._kind} {visible(name)} stands there {len(meant)} times; keep one")

    def split(self, values: Mapping[int, object]) -> tuple[dict[str, object], dict[str, str]]:
        """Return the values by names of the flags, and the others as text by the names that they have."""
        others = self.others
        return (
            {self.names[place]: value for place, value in values.items() if place not in others},
            {others[place]: _as_text(value) for place, value in values.items() if place in others},
        )


def _why_not_kept(value: object) -> str | None:
    if isinstance(value, (list, tuple)):
        return "is a list or an object; only text and numbers are kept"
    if isinstance(value, str) and ("\0" in value or not_utf8(value)):
        return "holds a NUL or half of a surrogate pair, which no database text may"
    return None


def _as_text(value: object) -> str:
    """Return a kept value as it was written: JSON's true is no Python's True."""
    return value if isinstance(value, str) else json.dumps(value)


def _parse_nothing(_lines: Iterator[_Line], complain: _Complain, _keep: bool) -> Iterator[_Record]:
    complain(None, "is of a kind that is not read; prompts come as text, .csv, or .jsonl with an object a line")
    return iter(())


_PARSERS = {
    ".json": _parse_nothing,
    ".tsv": _parse_csv,
    ".csv": _parse_csv,
    ".jsonl": _parse_json,
    ".ndjson": _parse_json,
}
