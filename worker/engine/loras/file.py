"""A LoRA's file: finding it on this machine, and reading it whole."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from models.checkpoints import is_hub_id
from models.lora_files import LORA_SUFFIX, local_lora, missing_lora
from models.types.errors import CheckpointError, LoraError
from worker.engine.checkpoints.weights_files import LENGTH_BYTES, read_header

#: What diffusers calls the file of a repository or a folder.
_USUAL_FILE = "pytorch_lora_weights.safetensors"


@dataclass(frozen=True)
class FileVersion:
    """What is another where a file was replaced."""

    path: Path
    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return that of a file at this moment.

        Raises:
            OSError: it is not there.
        """
        status = path.stat()
        return cls(path, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class LoraFile:
    """All that a file holds."""

    path: Path
    #: Of its tensors alone, as A1111 has it: what a file says of itself may change without its pictures.
    sha256: str
    tensors: Mapping[str, Tensor]
    #: What its header says beside the tensors.
    metadata: Mapping[str, str]
    version: FileVersion

    @property
    def size(self) -> int:
        """Bytes of its tensors."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


def find_lora(name: str, folders: Sequence[Path]) -> Path:
    """Return the file of a LoRA: below the folders, or in the hub's cache.

    Raises:
        LoraError: there is none, there are several, or it lies elsewhere.
    """
    found = local_lora(name, folders)
    if found is None:
        found = _of_hub(name)
    if found is None:
        raise missing_lora(name, folders)
    return found


def read_lora(path: Path) -> LoraFile:
    """Return what a file holds; all of it is in memory then.

    Raises:
        LoraError: it cannot be read, or is cut short.
    """
    try:
        # Before it is read: one that is replaced meanwhile is found to be another.
        version = FileVersion.of(path)
        header = read_header(path)
        content = path.read_bytes()
        tensors = load(content)
    except CheckpointError as error:
        raise LoraError(f"LoRA {error}") from error
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise LoraError(f"LoRA {path} cannot be read: {error}") from error
    start = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    return LoraFile(path, hashlib.sha256(memoryview(content)[start:]).hexdigest(), tensors, header.metadata, version)


def _of_hub(name: str) -> Path | None:
    repository, file = "/".join(name.split("/")[:2]), "/".join(name.split("/")[2:])
    if not is_hub_id(repository):
        return None
    try:
        # The library calls a snapshot absent that lacks a file of the repository, unless it is told which count.
        folder = Path(snapshot_download(repository, local_files_only=True, allow_patterns=[_USUAL_FILE]))
    except (OSError, ValueError):
        return None
    found = folder / (f"{file}{LORA_SUFFIX}" if file else _USUAL_FILE)
    if found.is_file():
        return found
    only = list(folder.glob(f"*{LORA_SUFFIX}"))
    return only[0] if not file and len(only) == 1 else None
