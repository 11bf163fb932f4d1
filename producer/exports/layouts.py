"""The layouts of data sets, as the programs that read them define them."""

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from producer.exports.sample import Sample
from producer.exports.split import TRAIN
from producer.files import new_file, write_text

#: Samples of one tar file.
_SHARD = 1_000


class Layout(Protocol):
    """Writes samples below a folder; what is there already and whole may stay."""

    def __call__(
        self, folder: Path, samples: Sequence[Sample], *, name: str, repeats: int, advance: Callable[[int], None]
    ) -> None:
        """Write them; `name` and `repeats` are for layouts that have a place for them, `advance` is told of each."""


def imagefolder(
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


def kohya(folder: Path, samples: Sequence[Sample], *, name: str, repeats: int, advance: Callable[[int], None]) -> None:
    """Write a folder `10_name` for each split, the caption in a text file beside each picture (kohya's sd-scripts)."""
    for split, some in _by_split(samples).items():
        own = folder / split / f"{repeats}_{name}"
        for sample in some:
            sample.put(own / f"{sample.key}.png")
            write_text(own / f"{sample.key}.txt", f"{sample.caption}\n")
            advance(1)
    write_text(folder / "metadata.jsonl", "".join(f"{_json({'key': s.key, **s.columns})}\n" for s in samples))


def webdataset(
    folder: Path, samples: Sequence[Sample], *, name: str, repeats: int, advance: Callable[[int], None]
) -> None:
    """Write tar files of up to 1,000 samples each; the files of a sample have its key for a stem (WebDataset)."""
    for split, some in _by_split(samples).items():
        for number, start in enumerate(range(0, len(some), _SHARD)):
            with (
                new_file(folder / f"{split}-{number:06d}.tar") as shard,
                tarfile.open(shard, mode="w", format=tarfile.USTAR_FORMAT) as tar,
            ):
                for sample in some[start : start + _SHARD]:
                    _add(tar, f"{sample.key}.json", _json({"text": sample.caption, **sample.columns}).encode())
                    _add(tar, f"{sample.key}.png", sample.content())
                    _add(tar, f"{sample.key}.txt", sample.caption.encode())
                    advance(1)


LAYOUTS: Mapping[str, Layout] = {"imagefolder": imagefolder, "kohya": kohya, "webdataset": webdataset}


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
