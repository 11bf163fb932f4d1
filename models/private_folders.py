"""Folders that are nobody else's business."""

from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Make a folder, with what is missing above it, that no other user may enter; one that is there stays as it is.

    Raises:
        OSError: if it cannot be made, or a file is in its place.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
    # Says what is wrong with one that is there and is no folder.
    folder.mkdir(exist_ok=True)
