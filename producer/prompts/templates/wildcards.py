"""Wildcards: files of values, a line each (`.txt`), or lists under names (`.yaml`, `.yml`, `.json`)."""

import dataclasses
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from dynamicprompts.enums import SamplingMethod
from dynamicprompts.parser.parse import parse
from dynamicprompts.wildcards import WildcardManager
from dynamicprompts.wildcards.collection import WildcardCollection
from dynamicprompts.wildcards.item import WildcardItem
from dynamicprompts.wildcards.values import WildcardValues
from pyparsing import ParseException

from models.types.printable import printable
from producer.prompts.problems import place, visible
from producer.prompts.templates.structured import Entry, read_json, read_yaml
from producer.prompts.templates.weights import repetitions, require_choice, split_weight
from producer.prompts.templates.within import TemplateError
from producer.prompts.text_file import UnreadableError, not_utf8, read_lines

#: A folder of this name beside the prompts file is looked in as well.
FOLDER = "wildcards"
_SHOWN = 10
#: Values that one prompt may take, such as two in {2$$__season__}; nobody asks for more.
_AT_ONCE = 100
_STRUCTURED: Mapping[str, Callable[[str], Mapping[str, list[Entry]]]] = {
    ".json": read_json,
    ".yaml": read_yaml,
    ".yml": read_yaml,
}


class Wildcards(WildcardManager):
    """The wildcards of a folder, or those beside a prompts file; in the order of their files.

    A file is read once a template takes something from it: what else lies beside somebody's prompts may be anything.
    """

    def __init__(
        self,
        folder: Path | None,
        beside: Path | None,
        method: SamplingMethod = SamplingMethod.COMBINATORIAL,
        limit: int | None = None,
    ) -> None:
        """Take what lies in `folder` or below it, else the text files in `beside` and all in its folder `wildcards`.

        `method` and `limit` are those of the templates that take values from it.
        """
        self._method, self._limit = method, limit
        #: Why a file that may have wildcards of any name cannot be read.
        self._unreadable: list[str] = []
        found: dict[str, WildcardCollection] = {}
        if folder is not None:
            found |= self._below(folder)
        elif beside is not None:
            # Not what lies below: a prompts file may be in somebody's home.
            files = (path for path in sorted(beside.glob("*")) if path.suffix.lower() == ".txt" and path.is_file())
            found |= {_name(path.stem): _TextFile(path) for path in files}
            found |= self._below(beside / FOLDER)
        roots: Any = {"": [found]}
        super().__init__(root_map=roots)
        self.sort_wildcards = False

    def get_values(self, wildcard: str) -> WildcardValues:
        """Return a wildcard's values.

        Raises:
            TemplateError: if they cannot be read, or there are none, on which the library would go round for ever.
        """
        values = super().get_values(_name(wildcard))
        if not values and self._unreadable:
            raise TemplateError(f"no wildcard {visible(wildcard)} can be read: {self._unreadable[0]}")
        if not values:
            raise TemplateError(f"there is no wildcard {visible(wildcard)}, or it has no values; {self._whereabouts()}")
        items = tuple(item for item in values.items if isinstance(item, WildcardItem) and item.weight)
        if not items:
            raise TemplateError(f"all values of wildcard {visible(wildcard)} have the weight 0")
        return _Values(items, self._method, self._limit)

    def _below(self, folder: Path) -> dict[str, WildcardCollection]:
        found: dict[str, WildcardCollection] = {}
        hidden = (path for path in sorted(folder.rglob("*")) if path.is_file())
        for path in (
            path for path in hidden if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        ):
            suffix = path.suffix.lower()
            if suffix == ".txt":
                found[_name(path.relative_to(folder).with_suffix("").as_posix())] = _TextFile(path)
            elif suffix in _STRUCTURED:
                above = path.relative_to(folder).parent
                try:
                    lists = _STRUCTURED[suffix](_text(path))
                except TemplateError as error:
                    self._unreadable.append(f"{place(str(path))}{error}")
                    continue
                for name, entries in lists.items():
                    key = _name((above / (name or path.stem)).as_posix())
                    found[key] = _List(path, entries)
        return found

    def _whereabouts(self) -> str:
        names = sorted(map(printable, self.get_collection_names()))
        shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        known = f"known are {shown}" if names else "there are none"
        return f"{known}; a file NAME.txt beside the prompts, or in --wildcards DIR, makes one"


class _TextFile(WildcardCollection):
    """A value a line; lines that begin with `#` do not count."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get_values(self) -> list[WildcardItem]:
        return self._items

    @cached_property
    def _items(self) -> list[WildcardItem]:
        items = []
        try:
            for number, line in read_lines(str(self._path)):
                where = place(str(self._path), number)
                if wrong := not_utf8(line):
                    raise TemplateError(f"{where}: {wrong}")
                if line.strip() and not line.lstrip().startswith("#"):
                    items.append(_item(line.strip(), where))
        except UnreadableError as error:
            raise TemplateError(f"{place(str(self._path))}: {error}") from None
        return items


class _List(WildcardCollection):
    """The values under one name of a structured file."""

    def __init__(self, path: Path, entries: list[Entry]) -> None:
        self._path = path
        self._entries = entries

    def get_values(self) -> list[WildcardItem]:
        return self._items

    @cached_property
    def _items(self) -> list[WildcardItem]:
        items = []
        for entry in self._entries:
            where = place(str(self._path), entry.line) if entry.line else place(str(self._path))
            if entry.wrong:
                raise TemplateError(f"{where}: {entry.wrong}")
            if entry.weight is None:
                items.append(_item(entry.text, where))
            else:
                items.append(WildcardItem(entry.text, entry.weight))
        return items


@dataclasses.dataclass(frozen=True)
class _Values(WildcardValues):
    """The values of a wildcard, of which those that are gone through in turn are made when their turn comes.

    The library makes a sampler of each before the first is taken, which takes minutes for 100,000 of them, and leaves
    out what weighs less than 1.
    """

    method: SamplingMethod = SamplingMethod.COMBINATORIAL
    limit: int | None = None

    def iterate_string_values_weighted(self) -> Iterator[str]:
        values = self.string_values
        if self.method is SamplingMethod.COMBINATORIAL:
            return islice(values, self._most)
        weights = [item.weight for item in self.items if isinstance(item, WildcardItem)]
        turns = zip(values, repetitions(weights), strict=True)
        repeated = (value for value, times in turns for _ in range(times))
        # A draw may take any; who goes through them in turn needs no more than there are to be prompts.
        return repeated if self.method is SamplingMethod.RANDOM else islice(repeated, self._most)

    @property
    def _most(self) -> int | None:
        return None if self.limit is None else self.limit + _AT_ONCE


def _item(text: str, where: str) -> WildcardItem:
    """Return a value with its weight.

    Raises:
        TemplateError: naming the place, if the weight cannot be used.
    """
    if "::" not in text:
        return WildcardItem(text)
    try:
        weight, value = split_weight(text)
        if "{" in value:
            require_choice(parse(value))
    except TemplateError as error:
        raise TemplateError(f"{where}: {error}") from None
    except ParseException:
        raise TemplateError(f"{where}: {visible(text)} cannot be read as a template") from None
    return WildcardItem(value, weight)


def _name(name: str) -> str:
    """Return a wildcard's name in the one form: a Mac writes `ö` as two characters, and people type it as one."""
    return unicodedata.normalize("NFC", name)


def _text(path: Path) -> str:
    """Return a file's text.

    Raises:
        TemplateError: beginning as what stands behind the file's name.
    """
    lines = []
    try:
        for number, line in read_lines(str(path)):
            if wrong := not_utf8(line):
                raise TemplateError(f", line {number}: {wrong}")
            lines.append(line)
    except UnreadableError as error:
        raise TemplateError(f": {error}") from None
    return "".join(lines)
