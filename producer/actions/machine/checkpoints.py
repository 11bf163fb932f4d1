"""Whether a checkpoint is on this machine."""

from huggingface_hub import try_to_load_from_cache

from models.checkpoints import INDEX_FILE, is_hub_id, local_path


def is_here(checkpoint: str) -> bool:
    """Tell whether the checkpoint lies here, or was fetched from the hub, as far as its first file tells."""
    if is_hub_id(checkpoint):
        return isinstance(try_to_load_from_cache(checkpoint, INDEX_FILE), str)
    return local_path(checkpoint).exists()


def remedy(checkpoint: str) -> str:
    """Say what to do about one that is not here."""
    if is_hub_id(checkpoint):
        return f"`producer download {checkpoint}` fetches it"
    return "put it there on the worker's machine, or name another with --checkpoint"
