"""Data sets of pictures and captions in a folder, in the layouts that training scripts take."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
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
    #: Width and height in pixels of each file of both, once, however many captions it comes with.
    sizes: Mapping[Path, tuple[int, int]]


def read_data_set(folder: Path) -> DataSet:
    """Return the data set of a folder: imagefolder, kohya's, or pictures with a text file beside each.

    Raises:
        BadInputError: with each picture that cannot be used, and what to do.
    """
    if not folder.is_dir():
        raise BadInputError([f"{folder} is no folder: --data names one with pictures, or a batch"])
    train = folder / _TRAIN if (folder / _TRAIN).is_dir() else folder
    problems: list[str] = []
    folders = [train] + [folder / name for name in _TESTS if train != folder]
    sizes: dict[Path, tuple[int, int]] = {}
    learnt, *others = [_checked(_read(one, problems), sizes, problems) for one in folders]
    held_out = [one for found in others for one in found]
    if not learnt and not problems:
        problems.append(f"{train} holds no picture ({', '.join(_PICTURES)})")
    if problems:
        more = [f"… and {len(problems) - _SHOWN:,} more"] if len(problems) > _SHOWN else []
        raise BadInputError(problems[:_SHOWN] + more)
    return DataSet(learnt, held_out, sizes)


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
        with file.open(encoding="utf-8", newline="" if file.suffix == ".csv" else None) as lines:
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
            caption = named if beside is None else " ".join(beside.read_text(encoding="utf-8").split())
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{beside} cannot be read: {error}")
            continue
        yield CaptionedPicture(file, caption or "", repeats)


def _checked(
    pictures: Iterable[CaptionedPicture], sizes: dict[Path, tuple[int, int]], problems: list[str]
) -> list[CaptionedPicture]:
    """Return those that can be read, and put down the size of each."""
    found: list[CaptionedPicture] = []
    # A picture may come with several captions.
    refused: set[Path] = set()
    for one in pictures:
        if one.file not in sizes and one.file not in refused:
            try:
                sizes[one.file] = read_picture(one.file).size
            except BadInputError as error:
                refused.add(one.file)
                problems += error.problems
        if one.file in sizes:
            found.append(one)
    return found
