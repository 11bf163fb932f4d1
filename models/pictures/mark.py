"""Whose picture a file is: a text in it that says so, whatever it is called and wherever it lies."""

from pathlib import Path
from typing import BinaryIO

from PIL import Image

from models.types.errors import StorageError, lacks_file_handle

#: The PNG text that holds it.
KEY = "nightshift"


def picture_mark(batch_uid: str, job_id: int) -> str:
    """Return what is written into a job's picture: a batch's random uid tells databases apart that count alike."""
    return f"batch {batch_uid}, job {job_id}"


def read_mark(file: Path | BinaryIO) -> str | None:
    """Return what a picture says; None of one that was made by a version that wrote nothing, or is no picture.

    Raises:
        StorageError: if no file can be opened at this moment, which says nothing of this one.
    """
    try:
        with Image.open(file) as picture:
            mark = picture.info.get(KEY)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if lacks_file_handle(error):
            raise StorageError(f"{file} cannot be read ({error}): close what has many files open") from error
        return None
    return mark if isinstance(mark, str) else None
