"""What a safetensors file holds, by its header: names and shapes, read without the tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from models.types.errors import CheckpointError

#: The length of the header comes first, as 8 bytes, and the header is JSON (safetensors' format).
LENGTH_BYTES = 8


@dataclass(frozen=True)
class WeightsFile:
    """The header of a safetensors file."""

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]


def read_header(path: Path) -> WeightsFile:
    """Return what a file holds.

    Raises:
        CheckpointError: naming the file, if it is cut short, no safetensors file, or cannot be read.
    """
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
            return WeightsFile(path, shapes, file.metadata() or {})
    except SafetensorError as error:
        raise CheckpointError(f"{path} {_why_unreadable(path)} ({error})") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error


def _why_unreadable(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(LENGTH_BYTES + 1)
    if not start:
        return "is empty; copy it again"
    if start[LENGTH_BYTES:] == b"{":
        return "is cut short or damaged; copy it again"
    return "is no safetensors file, whatever its name says"
