"""SQLite: the record in a file, which is the default.

What makes it hold up with two processes: write-ahead logging, a wait for the write lock, and write transactions that
take that lock at their start (one that reads first and writes later fails at once when another has written in between).
Reads use connections of their own and never wait.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from models.private_folders import make_private_folder

#: Words of complaints that are over when another program lets go, or when there is room again.
_PASSING = ("locked", "full", "No space")
#: Seconds that `trouble` waits for the write lock, and free bytes below which there is no room for a transaction.
_GLANCE_S, _LEAST_ROOM = 0.2, 100_000


class Sqlite:
    """A file; see `backend.Backend`.

    Raises:
        ArgumentError: the URL names no file.
    """

    migrates_itself = True

    def __init__(self, url: URL, busy_timeout_s: float) -> None:
        if url.database in (None, "", ":memory:"):
            raise ArgumentError("it names no file, and what is in memory alone is lost with each command")
        self._path = Path(url.database or "")
        self._url = url
        self._busy_timeout_s = busy_timeout_s
        self.writer = self._engine("BEGIN IMMEDIATE")
        self.reader = self._engine("BEGIN")

    def _engine(self, begin: str) -> Engine:
        engine = create_engine(self._url, connect_args={"timeout": self._busy_timeout_s, "isolation_level": None})
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine

    def prepare(self) -> None:
        """Make folder and file, for whoever they belong to alone."""
        make_private_folder(self._path.parent)
        # Before SQLite makes it, whose files beside it take its mode after this one's.
        if not self._path.exists():
            self._path.touch(mode=0o600)

    def lock_for_migration(self, connection: Connection) -> None:
        """Do nothing: a write transaction has the lock from its start."""

    def passes(self, error: DBAPIError) -> bool:
        """Tell it by the words of the complaint."""
        return any(word in str(error.orig) for word in _PASSING)

    def advice(self, reason: str, error: DBAPIError | None = None) -> str:
        """Return what to do about SQLite's or the file system's complaint."""
        for symptom, advice in (
            ("full", "Free some space and run it again"),
            ("No space", "Free some space and run it again"),
            ("locked", "Another program holds it: see what else has it open"),
            ("readonly", "Make the file and its folder writable, or move it with NIGHTSHIFT_DATA_DIR"),
            ("not a database", "Move the file away, or set NIGHTSHIFT_DATABASE_URL to another"),
            ("malformed", "The file is damaged: bring back a copy, or move it away and start anew"),
        ):
            if symptom in reason:
                return advice
        return "Choose a folder that you may write to with NIGHTSHIFT_DATA_DIR"

    def file(self) -> tuple[int, int] | None:
        """Return device and inode; None where there is no file."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def trouble(self) -> str | None:
        """Take the write lock for a moment, and look at the room on the disk."""
        try:
            with closing(sqlite3.connect(self._path, timeout=_GLANCE_S, isolation_level=None)) as glance:
                glance.execute("BEGIN IMMEDIATE")
                glance.execute("ROLLBACK")
        except sqlite3.Error as error:
            return str(error)
        return "its disk is full" if shutil.disk_usage(self._path.parent).free < _LEAST_ROOM else None


def _prepare(connection: Any, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # What `enqueue` has said is recorded outlasts a loss of power; NORMAL would lose the last commits.
    cursor.execute("PRAGMA synchronous=FULL")
    # macOS leaves what was synced in the disk's own cache unless it is asked not to; elsewhere this does nothing.
    cursor.execute("PRAGMA fullfsync=ON")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
