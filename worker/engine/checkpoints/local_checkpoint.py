"""Finding a checkpoint's files on this machine. The worker never downloads: `producer download` does."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from models.checkpoints import INDEX_FILE, is_hub_id, local_path
from models.types.errors import CheckpointError

#: Where a component's class may come from; anything else would be code out of the checkpoint.
_LIBRARIES = ("diffusers", "transformers", "stable_diffusion")
#: The pipelines of the families that are loaded here; see `worker.engine.families.registry`.
PIPELINES = ("StableDiffusionPipeline",)


@dataclass(frozen=True)
class LocalCheckpoint:
    """A checkpoint on this disk: a folder in diffusers' layout or a single `.safetensors` file."""

    name: str
    path: Path
    #: Commit of a hub repository, or `sha256:` and the digest of a file, or of a folder's files' digests.
    revision: str
    #: The class of pipeline that it is for.
    pipeline: str

    @property
    def is_single_file(self) -> bool:
        """Whether it is a single `.safetensors` file."""
        return self.path.is_file()


def find_checkpoint(name: str) -> LocalCheckpoint:
    """Return where checkpoint `name` lies.

    Raises:
        CheckpointError: if it is not here, incomplete, or of no family that is loaded here.
    """
    if is_hub_id(name):
        path = _require_hub_snapshot(name)
        return LocalCheckpoint(name, path, path.name, _pipeline(name, path))
    path = local_path(name)
    if path.is_file():
        if path.suffix != ".safetensors":
            raise CheckpointError(f"checkpoint {name}: only .safetensors files are loaded, other formats can run code")
        return LocalCheckpoint(name, path, f"sha256:{_sha256(path).hex()}", PIPELINES[0])
    if not path.is_dir():
        raise CheckpointError(
            f"checkpoint {name}: there is no such file or folder. Name a folder, a .safetensors file, a hub id such "
            "as owner/name, or demo, with --checkpoint or NIGHTSHIFT_CHECKPOINT"
        )
    pipeline = _pipeline(name, path)
    files = (f for f in path.rglob("*") if f.suffix in {".json", ".txt", ".safetensors"} and f.is_file())
    return LocalCheckpoint(name, path, _digest(sorted(files)), pipeline)


def hub_snapshot(name: str) -> Path:
    """Return the folder in the hub's cache that a repository was fetched to.

    Raises:
        LocalEntryNotFoundError, OSError, ValueError: as the hub's library says that it is not there.
    """
    # The library calls a snapshot absent that lacks any file of the repository, unless it is told which count; of
    # Stable Diffusion 1.5 most are other forms of the same weights, which are not fetched.
    return Path(snapshot_download(name, local_files_only=True, allow_patterns=[INDEX_FILE]))


def remedy(checkpoint: LocalCheckpoint) -> str:
    """Say what fetches a checkpoint's files anew, where something does."""
    return f". `producer download {checkpoint.name}` fetches what is missing" if is_hub_id(checkpoint.name) else ""


def _require_hub_snapshot(name: str) -> Path:
    try:
        return hub_snapshot(name)
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        raise CheckpointError(
            f"checkpoint {name} is not on this machine: `producer download {name}` fetches it. Without a network, "
            "set NIGHTSHIFT_CHECKPOINT to a folder or .safetensors file, or HF_HOME to a cache that holds it"
        ) from error


def _pipeline(name: str, folder: Path) -> str:
    """Return the class of pipeline that a folder's index names."""
    index_file = folder / INDEX_FILE
    try:
        index = json.loads(index_file.read_text())
        if not isinstance(index, dict):
            raise TypeError("it is no JSON object")
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"checkpoint {name}: {index_file} cannot be read ({error}). It takes a folder in diffusers' layout; "
            "a download that was cut short goes on with `producer download`"
        ) from error
    pipeline = index.get("_class_name")
    if pipeline not in PIPELINES:
        raise CheckpointError(f"checkpoint {name} is a {pipeline}; only a {' or '.join(PIPELINES)} is loaded here")
    for component, source in index.items():
        library = source[0] if isinstance(source, list) and source else None
        if library is not None and library not in _LIBRARIES:
            raise CheckpointError(f"checkpoint {name}: its {component} wants code from {library!r}, which is not run")
    return str(pipeline)


def _digest(files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in files:
        total.update(_sha256(path))
    return f"sha256:{total.hexdigest()}"


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
