"""The database: engines, transactions and the schema's version.

SQLite is the default. What makes it hold up with two processes: write-ahead logging, a wait for
the write lock, and write transactions that take that lock at their start (one that reads first and
writes later fails at once when another has written in between). Reads use connections of their own
and never wait.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from models.private_folders import make_private_folder
from models.records.tables import SCHEMA_VERSION
from models.settings import without_password
from models.types.errors import DatabaseBusyError, DatabaseError

#: `Session` too: what reads and writes is handed one, and needs no more of SQLAlchemy.
__all__ = ["BUSY_TIMEOUT_S", "Database", "Session"]

#: Seconds that a write waits for another program's to end.
BUSY_TIMEOUT_S = 30.0
#: Words of complaints that are over when another program lets go, or when there is room again.
_PASSING = ("locked", "full", "No space")
#: Seconds that `trouble` waits for the write lock, and free bytes below which there is no room for a transaction.
_GLANCE_S, _LEAST_ROOM = 0.2, 100_000


class Database:
    """Access to one database, its schema brought to this program's version.

    Raises:
        DatabaseError: if it cannot be reached, written, or has a version that this program does not know.
    """

    def __init__(self, url: str, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.url = url
        self._busy_timeout_s = busy_timeout_s
        self.shown_url = without_password(url)
        try:
            self.is_sqlite = _parsed(url).get_backend_name() == "sqlite"
            self._writer = self._engine("BEGIN IMMEDIATE", "READ COMMITTED")
            self._reader = self._engine("BEGIN", "REPEATABLE READ")
        except (ArgumentError, ImportError) as error:
            raise DatabaseError(f"NIGHTSHIFT_DATABASE_URL={self.shown_url}: {error}") from None
        try:
            with self._explained():
                self._bring_to_head()
        except BaseException:
            self.close()
            raise
        #: Which file was opened; None where there is none.
        self._file = self._file_now()

    def _engine(self, begin: str, isolation: IsolationLevel) -> Engine:
        """Return an engine whose transactions start with `begin` on SQLite and are of `isolation` elsewhere."""
        if not self.is_sqlite:
            return create_engine(self.url, pool_pre_ping=True, isolation_level=isolation)
        engine = create_engine(self.url, connect_args={"timeout": self._busy_timeout_s, "isolation_level": None})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open one write transaction, committed at the end of the block."""
        with self._explained(), Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open one read transaction: every query in the block sees the same moment."""
        with self._explained(), Session(self._reader, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        """Give all connections back."""
        self._writer.dispose()
        self._reader.dispose()

    def is_replaced(self) -> bool:
        """Tell whether an SQLite file is no longer the one that was opened: moved away, or another in its place.

        What is written goes to the one that was opened, wherever that is now.
        """
        return self._file_now() != self._file

    def _file_now(self) -> tuple[int, int] | None:
        if not self.is_sqlite:
            return None
        try:
            found = Path(_parsed(self.url).database or "").stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def trouble(self) -> str | None:
        """Return what keeps an SQLite file from being written at this moment, None if nothing does."""
        if not self.is_sqlite:
            return None
        file = Path(_parsed(self.url).database or "")
        try:
            with closing(sqlite3.connect(file, timeout=_GLANCE_S, isolation_level=None)) as glance:
                glance.execute("BEGIN IMMEDIATE")
                glance.execute("ROLLBACK")
        except sqlite3.Error as error:
            return str(self._unusable(str(error)))
        if shutil.disk_usage(file.parent).free < _LEAST_ROOM:
            return str(self._unusable("its disk is full"))
        return None

    def revision(self) -> str | None:
        """Return the schema's version, None for an empty database."""
        with self._explained(), self._reader.connect() as connection:
            return _revision(connection)

    def _bring_to_head(self) -> None:
        if self.is_sqlite and (file := _parsed(self.url).database):
            try:
                make_private_folder(Path(file).parent)
                # Before SQLite makes it, whose files beside it take its mode after this one's.
                if not Path(file).exists():
                    Path(file).touch(mode=0o600)
            except OSError as error:
                raise self._unusable(error.strerror or str(error)) from error
        current = self.revision()
        if current == SCHEMA_VERSION:
            return
        from models.records import migrating  # slow, and not needed above

        if current is not None and current not in migrating.known_versions():
            raise DatabaseError(
                f"the database {self.shown_url} is at version {current}, which this program (at {SCHEMA_VERSION}) "
                "does not know: it was made by a newer one. Upgrade Nightshift, or set NIGHTSHIFT_DATABASE_URL to "
                "another"
            )
        if not self.is_sqlite:
            raise DatabaseError(
                f"the database {self.shown_url} is at version {current or 'none'}, this program needs "
                f"{SCHEMA_VERSION}: run `alembic upgrade head` in the project's folder"
            )
        with self._writer.connect() as connection, connection.begin():
            # Alembic looks at the version again, for whoever waited for the lock may find the work done.
            migrating.upgrade(connection)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the driver says into one line that a user can act on."""
        try:
            yield
        except DBAPIError as error:
            raise self._unusable(str(error.orig), link_was_cut=error.connection_invalidated) from error
        except SQLAlchemyError as error:
            raise DatabaseError(f"the database {self.shown_url}: {error}") from error

    def _unusable(self, problem: str, *, link_was_cut: bool = False) -> DatabaseError:
        reason = (problem.splitlines() or ["no reason given"])[0]
        advice = _advice(reason) if self.is_sqlite else "Is NIGHTSHIFT_DATABASE_URL right and the server running?"
        passes = any(word in reason for word in _PASSING) if self.is_sqlite else link_was_cut
        kind = DatabaseBusyError if passes else DatabaseError
        return kind(f"the database {self.shown_url} cannot be used: {reason}. {advice}")


def _parsed(url: str) -> URL:
    """Read `url`.

    Raises:
        ArgumentError: in words that hold no part of a password, which SQLAlchemy's own may.
    """
    try:
        parsed = make_url(url)
    except ValueError:
        parsed = None
    if parsed is None or "@" in (parsed.host or ""):
        raise ArgumentError("its port is no number, or an @ or : of its password is not written as %40 or %3A")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ArgumentError("it names no file, and what is in memory alone is lost with each command")
    return parsed


def _revision(connection: Connection) -> str | None:
    """Return what Alembic noted as the schema's version, None where it never did."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # What `enqueue` has said is recorded outlasts a loss of power; NORMAL would lose the last commits.
    cursor.execute("PRAGMA synchronous=FULL")
    # macOS leaves what was synced in the disk's own cache unless it is asked not to; elsewhere this does nothing.
    cursor.execute("PRAGMA fullfsync=ON")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _advice(reason: str) -> str:
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
