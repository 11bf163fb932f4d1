"""A LoRA's file: finding it on this machine, and reading it whole."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download
from safetensors.torch import load
from torch import Tensor

from models.checkpoints import is_hub_id
from models.types.errors import CheckpointError, LoraError
from worker.engine.checkpoints.weights_files import LENGTH_BYTES, read_header

_SUFFIX = ".safetensors"
#: What diffusers calls the file of a repository or a folder.
_USUAL_FILE = "pytorch_lora_weights.safetensors"


@dataclass(frozen=True)
class LoraFile:
    """All that a file holds."""

    path: Path
    #: Of its tensors alone, as A1111 has it: what a file says of itself may change without its pictures.
    sha256: str
    tensors: Mapping[str, Tensor]
    #: What its header says beside the tensors.
    metadata: Mapping[str, str]

    @property
    def size(self) -> int:
        """Bytes of its tensors."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


def find_lora(name: str, folders: list[Path]) -> Path:
    """Return the file of a LoRA: below the folders by its path there, or by its name alone; or of the hub's cache.

    Raises:
        LoraError: there is none, there are several, or it lies elsewhere.
    """
    for folder in folders:
        # Resolved, so that neither `..` nor a link leads out of the folder. A path is taken where it leads into it.
        file = (folder / f"{name}{_SUFFIX}").resolve()
        if file.is_file() and file.is_relative_to(folder.resolve()):
            return file
    if Path(name).is_absolute():
        where = "lies outside of" if Path(f"{name}{_SUFFIX}").is_file() else "is not in"
        raise LoraError(f"LoRA {name} {where} {_names(folders)}, where jobs may take LoRAs from; copy it there")
    if "/" not in name:
        found = [file for folder in folders for file in sorted(folder.rglob(f"{_escaped(name)}{_SUFFIX}"))]
        if len(found) > 1:
            raise LoraError(f"LoRA {name}: {' and '.join(map(str, found[:3]))} are called so; name one by its folder")
        if found and found[0].resolve().is_relative_to(_folder_of(found[0], folders)):
            return found[0].resolve()
    if (of_hub := _of_hub(name)) is not None:
        return of_hub
    fetch = f", and `producer download {name}` was not run" if is_hub_id(name) else ""
    raise LoraError(f"LoRA {name}: there is no {name}{_SUFFIX} in {_names(folders)}{fetch}{_there_is(folders)}")


def read_lora(path: Path) -> LoraFile:
    """Return what a file holds; all of it is in memory then.

    Raises:
        LoraError: it cannot be read, or is cut short.
    """
    try:
        header = read_header(path)
        content = path.read_bytes()
        tensors = load(content)
    except (CheckpointError, OSError, ValueError) as error:
        raise LoraError(f"LoRA {error}") from error
    start = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    return LoraFile(path, hashlib.sha256(memoryview(content)[start:]).hexdigest(), tensors, header.metadata)


def _of_hub(name: str) -> Path | None:
    repository, file = "/".join(name.split("/")[:2]), "/".join(name.split("/")[2:])
    if not is_hub_id(repository):
        return None
    try:
        folder = Path(snapshot_download(repository, local_files_only=True))
    except (OSError, ValueError):
        return None
    found = folder / (f"{file}{_SUFFIX}" if file else _USUAL_FILE)
    if found.is_file():
        return found
    only = list(folder.glob(f"*{_SUFFIX}"))
    return only[0] if not file and len(only) == 1 else None


def _folder_of(file: Path, folders: list[Path]) -> Path:
    return next(folder for folder in folders if file.is_relative_to(folder)).resolve()


def _escaped(name: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


def _names(folders: list[Path]) -> str:
    return ", ".join(map(str, folders))


def _there_is(folders: list[Path]) -> str:
    names = sorted(file.stem for folder in folders for file in folder.rglob(f"*{_SUFFIX}"))
    return f"; there is {', '.join(names[:5])}{', …' if len(names) > 5 else ''}" if names else ""
