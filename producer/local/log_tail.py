"""What a growing log has of new lines."""

from pathlib import Path


class LogTail:
    """Reads a file from its beginning on, as others write it."""

    def __init__(self, file: Path) -> None:
        """Take a file that may not be there yet."""
        self._file = file
        self._read = 0
        self._rest = b""

    def new_lines(self) -> list[str]:
        """Return the lines that were finished since the last call."""
        try:
            with self._file.open("rb") as content:
                content.seek(self._read)
                found = content.read()
        except FileNotFoundError:
            return []
        self._read += len(found)
        *lines, self._rest = (self._rest + found).split(b"\n")
        return [line.decode(errors="replace") for line in lines]
