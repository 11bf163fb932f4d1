"""The layouts of data sets, as the programs that read them define them."""

import io
import json
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from producer.exports.sample import TRAIN, Sample
from producer.files import new_file, write_text

#: Samples of one tar file.
SHARD = 1_000


class _Write(Protocol):
    def __call__(
        self, folder: Path, samples: Sequence[Sample], *, name: str, repeats: int, advance: Callable[[int], None]
    ) -> None: ...


@dataclass(frozen=True)
class Layout:
    """How samples lie below a folder."""

    #: Writes them; what is there already and whole may stay. `name` and `repeats` are for layouts that have a place for
    #: them, `advance` is told of each.
    write: _Write
    #: Returns how many samples of each split there are for those who read such a folder.
    count: Callable[[Path], Counter[str]]


def _write_imagefolder(
    folder: Path, samples: Sequence[Sample], *, name: str, repeats: int, advance: Callable[[int], None]
) -> None:
    """Write a folder for each split with its pictures and their metadata.jsonl (Hugging Face's imagefolder).

    The caption is the column `text`, which diffusers' training scripts look for.
    """
    for split, some in _by_split(samples).items():
        lines = []
        for sample in some:
            file_name = f"{sample.key}.png"
            sample.put(folder / split / file_name)
            lines.append(_json({"file_name": file_name, "text": sample.caption, **sample.columns}))
            advance(1)
        write_text(folder / split / "metadata.jsonl", "".join(f"{line}\n" for line in lines))


def _write_kohya(
    folder: Path, samples: Sequence[Sample], *, name: str, repeats: int, advance: Callable[[int], None]
) -> None:
    """Write a folder `10_name` for each split, the caption in a text file beside each picture (kohya's sd-scripts)."""
    for split, some in _by_split(samples).items():
        own = folder / split / f"{repeats}_{name}"
        for sample in some:
            sample.put(own / f"{sample.key}.png")
            write_text(own / f"{sample.key}.txt", f"{sample.caption}\n")
            advance(1)
    write_text(folder / "metadata.jsonl", "".join(f"{_json({'key': s.key, **s.columns})}\n" for s in samples))


def _write_webdataset(
    folder: Path, samples: Sequence[Sample], *, name: str, repeats: int, advance: Callable[[int], None]
) -> None:
    """Write tar files of up to 1,000 samples each; the files of a sample have its key for a stem (WebDataset)."""
    for split, some in _by_split(samples).items():
        for number, start in enumerate(range(0, len(some), SHARD)):
            with (
                new_file(folder / f"{split}-{number:06d}.tar") as shard,
                tarfile.open(shard, mode="w", format=tarfile.USTAR_FORMAT) as tar,
            ):
                for sample in some[start : start + SHARD]:
                    _add(tar, f"{sample.key}.json", _json({"text": sample.caption, **sample.columns}).encode())
                    _add(tar, f"{sample.key}.png", sample.content())
                    _add(tar, f"{sample.key}.txt", sample.caption.encode())
                    advance(1)


def _count_imagefolder(folder: Path) -> Counter[str]:
    """Count the lines of metadata whose picture is there."""
    found: Counter[str] = Counter()
    for metadata in folder.glob("*/metadata.jsonl"):
        with metadata.open(encoding="utf-8") as lines:
            named = {json.loads(line)["file_name"] for line in lines}
        found[metadata.parent.name] = sum((metadata.parent / name).is_file() for name in named)
    return found


def _count_kohya(folder: Path) -> Counter[str]:
    """Count the pictures that have a caption beside them."""
    pictures = folder.glob("*/*/*.png")
    return Counter(picture.parent.parent.name for picture in pictures if picture.with_suffix(".txt").is_file())


def _count_webdataset(folder: Path) -> Counter[str]:
    """Count the keys that have a picture; a key ends at the first dot of a member's name, as WebDataset has it."""
    found: Counter[str] = Counter()
    for shard in folder.glob("*.tar"):
        with tarfile.open(shard) as tar:
            keys = {name.partition(".")[0] for name in tar.getnames() if name.partition(".")[2] == "png"}
        found[shard.name.rpartition("-")[0]] += len(keys)
    return found


LAYOUTS: Mapping[str, Layout] = {
    "imagefolder": Layout(_write_imagefolder, _count_imagefolder),
    "kohya": Layout(_write_kohya, _count_kohya),
    "webdataset": Layout(_write_webdataset, _count_webdataset),
}


def _by_split(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {TRAIN: []}
    for sample in samples:
        found.setdefault(sample.split, []).append(sample)
    return {split: some for split, some in found.items() if some}


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    # Nothing of the moment or of who runs it: the same command writes the same bytes.
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(content))


def _json(columns: Mapping[str, object]) -> str:
    return json.dumps(columns, ensure_ascii=False)
