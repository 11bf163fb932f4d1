"""Data sets of pictures and captions in a folder, in the layouts that training scripts take."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.training.pictures import read_picture
from models.types.errors import BadInputError
from models.types.printable import printable

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
#: Those of a kind that not every installation reads: none is left out in silence.
_PICTURES_ELSEWHERE = (".avif", ".gif", ".heic", ".heif", ".tif", ".tiff")
#: Columns of a caption, the first that is there.
_CAPTIONS = ("text", "caption", "prompt")
_BESIDE = (".txt", ".caption")
#: Kohya's folders: `10_sks shoe`.
_REPEATED = re.compile(r"(\d{1,6})_(.+)")
_TRAIN, _TESTS = "train", ("test", "validation")
#: Problems that are told one by one.
_SHOWN = 20


@dataclass(frozen=True)
class CaptionedPicture:
    """A picture to learn from."""

    file: Path
    caption: str
    #: How often it comes in a pass through all of them.
    repeats: int = 1


@dataclass(frozen=True)
class DataSet:
    """What is learnt from, and what is held out, by which it can be told whether that is more than remembered."""

    learnt: list[CaptionedPicture]
    held_out: list[CaptionedPicture]

    @property
    def pictures_a_pass(self) -> int:
        """Pictures of a pass through all that is learnt from, each as often as it comes."""
        return sum(one.repeats for one in self.learnt)


@dataclass(frozen=True)
class CheckedDataSet(DataSet):
    """One of which each picture was looked at."""

    #: Width and height in pixels of each file of both, once, however many captions it comes with.
    sizes: Mapping[Path, tuple[int, int]]


def read_data_set(folder: Path) -> DataSet:
    """Return the data set of a folder: imagefolder, kohya's, or pictures with a text file beside each.

    No picture is opened, which takes minutes for thousands of photos.

    Raises:
        BadInputError: with each line and picture that cannot be used, and what to do.
    """
    problems: list[str] = []
    found = _found(folder, problems)
    _require_none(problems)
    return found


def check_data_set(folder: Path, looked_at: Callable[[int], object] = lambda _: None) -> CheckedDataSet:
    """Return the same once each picture was looked at; `looked_at` is told of how many more.

    Raises:
        BadInputError: with all that cannot be used, pictures among it, and what to do.
    """
    problems: list[str] = []
    found = _found(folder, problems)
    sizes: dict[Path, tuple[int, int]] = {}
    # A picture may come with several captions.
    for file in dict.fromkeys(one.file for one in found.learnt + found.held_out):
        try:
            sizes[file] = read_picture(file).size
        except BadInputError as error:
            problems += error.problems
        looked_at(1)
    _require_none(problems)
    return CheckedDataSet(found.learnt, found.held_out, sizes)


def _found(folder: Path, problems: list[str]) -> DataSet:
    if not folder.is_dir():
        raise BadInputError([f"{folder} is no folder: --data names one with pictures, or a batch"])
    train = folder / _TRAIN if (folder / _TRAIN).is_dir() else folder
    learnt = list(_read(train, problems))
    held_out = [one for name in _TESTS if train != folder for one in _read(folder / name, problems)]
    if not learnt and not problems:
        problems.append(f"{train} holds no picture ({', '.join(_PICTURES)})")
    return DataSet(learnt, held_out)


def _require_none(problems: list[str]) -> None:
    if problems:
        more = [f"… and {len(problems) - _SHOWN:,} more"] if len(problems) > _SHOWN else []
        raise BadInputError(problems[:_SHOWN] + more)


def _read(folder: Path, problems: list[str]) -> Iterator[CaptionedPicture]:
    if not folder.is_dir():
        return
    for name in ("metadata.jsonl", "metadata.csv"):
        # Kohya's export has one too, whose lines name no files.
        if (folder / name).is_file() and not _is_kohya(folder):
            yield from _of_metadata(folder / name, problems)
            return
    yield from _of_folder(folder, 1, None, problems)
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and (found := _REPEATED.fullmatch(inner.name)):
            yield from _of_folder(inner, int(found[1]), found[2], problems)


def _is_kohya(folder: Path) -> bool:
    return any(inner.is_dir() and _REPEATED.fullmatch(inner.name) for inner in folder.iterdir())


def _of_metadata(file: Path, problems: list[str]) -> Iterator[CaptionedPicture]:
    for number, row in _rows(file, problems):
        place = f"{file}, line {number}"
        name = row.get("file_name")
        caption = next((row[column] for column in _CAPTIONS if row.get(column) is not None), None)
        if not isinstance(name, str) or not name:
            problems.append(f"{place}: it names no file: file_name is missing")
        elif not isinstance(caption, str):
            problems.append(f"{place}: it has no caption; the column is called {' or '.join(_CAPTIONS)}")
        elif not (file.parent / name).resolve().is_relative_to(file.parent.resolve()):
            problems.append(f"{place}: {printable(name)} leads out of the folder")
        else:
            yield CaptionedPicture(file.parent / name, caption)


def _rows(file: Path, problems: list[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="" if file.suffix == ".csv" else None) as lines:
            if file.suffix == ".csv":
                # An empty place says nothing; in JSON an empty caption is one.
                for number, row in enumerate(csv.DictReader(lines), start=2):
                    yield number, {name: value or None for name, value in row.items()}
                return
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    row = json.loads(line)
                    yield number, row if isinstance(row, dict) else {}
    except (OSError, ValueError, csv.Error) as error:
        problems.append(f"{file} cannot be read: {error}")


def _of_folder(folder: Path, repeats: int, named: str | None, problems: list[str]) -> Iterator[CaptionedPicture]:
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in _PICTURES + _PICTURES_ELSEWHERE:
            continue
        beside = next((text for end in _BESIDE if (text := file.with_suffix(end)).is_file()), None)
        if beside is None and named is None:
            problems.append(f"{file} has no caption: write it into {file.with_suffix('.txt').name} beside it")
            continue
        try:
            # Kohya's scripts take the folder's words where a picture has none of its own.
            caption = named if beside is None else " ".join(beside.read_text(encoding="utf-8-sig").split())
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{beside} cannot be read: {error}")
            continue
        yield CaptionedPicture(file, caption or "", repeats)
