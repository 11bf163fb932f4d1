"""What was read of an object store, on this disk."""

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from models.private_folders import make_private_folder


class ReadCache:
    """Files of some bytes in all, by the names of objects and the tags of their content; what is old goes first.

    Several programs may use one folder. A file that cannot be written or read is as good as none.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def find(self, name: str) -> tuple[str | None, bytes]:
        """Return the tag and the content of what was kept last of an object; None and nothing if it was not."""
        for file in self._folder.glob(f"{_digest(name)}-*"):
            with suppress(OSError):
                content = file.read_bytes()
                # What was used last goes last.
                os.utime(file)
                return bytes.fromhex(file.name.partition("-")[2]).decode(), content
        return None, b""

    def keep(self, name: str, tag: str | None, content: bytes) -> None:
        """Keep the content in place of what was kept of the object, unless it has no tag to be known by."""
        if tag is None or len(content) > self._most_bytes:
            return
        with suppress(OSError):
            make_private_folder(self._folder)
            for file in self._folder.glob(f"{_digest(name)}-*"):
                file.unlink(missing_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", delete=False) as new:
                new.write(content)
            Path(new.name).replace(self._folder / f"{_digest(name)}-{tag.encode().hex()}")
            self._make_room()

    def _make_room(self) -> None:
        found = sorted(((file.stat(), file) for file in self._folder.iterdir()), key=lambda one: one[0].st_mtime)
        total = sum(stat.st_size for stat, _ in found)
        for stat, file in found:
            if total <= self._most_bytes:
                return
            file.unlink(missing_ok=True)
            total -= stat.st_size


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]
