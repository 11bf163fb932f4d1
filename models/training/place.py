"""Where a training's files lie: only workers that have the same data folder can go on with it."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from models.durable_files import writing_explained
from models.private_folders import make_private_folder


def place_of(data_dir: Path) -> str:
    """Return the name of a data folder, the same on every machine that shares it; the first who asks gives it one.

    Raises:
        StorageError: the folder cannot be written.
    """
    file = data_dir / "trainings" / "place.uid"
    with writing_explained(file):
        make_private_folder(file.parent)
        if not file.exists():
            work = file.with_name(f".{file.name}.{uuid4().hex}")
            work.write_text(uuid4().hex)
            # Not over what another one has just written.
            with suppress(FileExistsError):
                os.link(work, file)
            work.unlink()
        return file.read_text().strip()
