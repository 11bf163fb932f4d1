"""Whether a checkpoint is on this machine."""

from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from models.checkpoints import INDEX_FILE, is_hub_id, local_path
from models.types.errors import BadInputError


def is_here(checkpoint: str) -> bool:
    """Tell whether the checkpoint lies here, or was fetched from the hub, as far as its first file tells."""
    if is_hub_id(checkpoint):
        return isinstance(try_to_load_from_cache(checkpoint, INDEX_FILE), str)
    return local_path(checkpoint).exists()


def hub_folder(checkpoint: str, revision: str) -> Path:
    """Return the folder to which a branch, tag or commit of a hub's repository was fetched.

    Raises:
        BadInputError: it was not, or the checkpoint is none of the hub.
    """
    if not is_hub_id(checkpoint):
        raise BadInputError([f"revision {revision}: checkpoint {checkpoint} is none of the hub, and has no revisions"])
    found = try_to_load_from_cache(checkpoint, INDEX_FILE, revision=revision)
    if not isinstance(found, str):
        how = f"`producer download {checkpoint} --revision {revision}` fetches it"
        raise BadInputError([f"revision {revision} of checkpoint {checkpoint} is not on this machine: {how}"])
    return Path(found).parent


def remedy(checkpoint: str) -> str:
    """Say what to do about one that is not here."""
    if is_hub_id(checkpoint):
        return f"`producer download {checkpoint}` fetches it"
    return "put it there on the worker's machine, or name another with --checkpoint"
