"""A folder that is there whole or not at all: filled beside its place, and put there by one rename."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from models.private_folders import make_private_folder
from models.types.errors import BadInputError
from producer.files import explained, write_text

#: Says in a finished folder what it is, and in an unfinished one what it is to be.
MANIFEST = "nightshift.json"


class ExportFolder:
    """The place of an export; what a killed one left beside it is gone on with."""

    def __init__(self, target: Path, manifest: Mapping[str, object]) -> None:
        self.target = target
        self._manifest = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
        #: Where the files are put meanwhile.
        self.work = target.with_name(f".{target.name}.unfinished")

    @contextmanager
    def alone(self, data_dir: Path) -> Iterator[None]:
        """Keep every other export from this folder while the block runs; the locks are in the data folder.

        Raises:
            BadInputError: if another export is at work there.
            StorageError: if there can be no lock.
        """
        digest = hashlib.sha256(os.fsencode(self.target.resolve())).hexdigest()[:16]
        file = data_dir / "locks" / f"export-{digest}.lock"
        try:
            make_private_folder(file.parent)
            with FileLock(file, blocking=False):
                yield
        except Timeout:
            raise BadInputError([f"{self.target}: another `producer export` is writing there; wait for it"]) from None

    def is_done(self) -> bool:
        """Tell whether this very export is there already.

        Raises:
            BadInputError: if something else is there.
        """
        if not self.target.exists():
            return False
        if not self.target.is_dir():
            raise BadInputError([f"{self.target} is a file; name a folder that is not there yet"])
        if not any(self.target.iterdir()):
            return False
        if _read(self.target / MANIFEST) == self._manifest:
            return True
        what = "another export" if (self.target / MANIFEST).exists() else "something else"
        raise BadInputError([f"{self.target} holds {what}; name a folder that is not there yet"])

    def begin(self) -> None:
        """Make the folder to be filled; what another command left unfinished there is thrown away.

        Raises:
            StorageError: if it cannot be made.
        """
        try:
            if self.work.exists() and _read(self.work / MANIFEST) != self._manifest:
                shutil.rmtree(self.work)
            self.work.mkdir(parents=True, exist_ok=True)
            write_text(self.work / MANIFEST, self._manifest)
        except OSError as error:
            raise explained(self.target, error) from error

    def finish(self) -> None:
        """Put the folder in its place.

        Raises:
            StorageError: if it cannot be put there.
        """
        try:
            if self.target.exists():
                # An empty one; anything else was refused.
                self.target.rmdir()
            self.work.rename(self.target)
        except OSError as error:
            raise explained(self.target, error) from error


def _read(file: Path) -> str | None:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return None
