"""A LoRA's file, read whole."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from models.types.errors import CheckpointError, LoraError
from worker.engine.checkpoints.weights_files import LENGTH_BYTES, read_header


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
