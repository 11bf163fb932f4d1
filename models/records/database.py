"""The database: transactions, what its complaints mean to a person, and the schema's version."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from models.records.backends.backend import Backend, parsed
from models.records.tables import SCHEMA_VERSION
from models.settings import without_password
from models.types.errors import DatabaseBusyError, DatabaseError

#: `Session` too: what reads and writes is handed one, and needs no more of SQLAlchemy.
__all__ = ["BUSY_TIMEOUT_S", "Database", "Session"]

#: Seconds that a write waits for another program's to end.
BUSY_TIMEOUT_S = 30.0


class Database:
    """Access to one database, whose schema is of this program's version.

    Raises:
        DatabaseError: if it cannot be reached, written, or has a version that this program does not know.
    """

    def __init__(self, url: str, busy_timeout_s: float = BUSY_TIMEOUT_S, *, migrate: bool = False) -> None:
        """Open it. A schema of an earlier version is brought up on SQLite, elsewhere with `migrate` alone."""
        self.url = url
        self.shown_url = without_password(url)
        try:
            self._backend = _backend(url, busy_timeout_s)
        except (ArgumentError, ImportError) as error:
            raise DatabaseError(f"NIGHTSHIFT_DATABASE_URL={self.shown_url}: {error}") from None
        try:
            with self._explained():
                #: The version that was found, None for an empty database.
                self.found_version = self._bring_up(migrate=migrate or self._backend.migrates_itself)
        except BaseException:
            self.close()
            raise
        # Which file was opened; None where there is none.
        self._file = self._backend.file()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open one write transaction, committed at the end of the block."""
        with self._explained(), Session(self._backend.writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open one read transaction: every query in the block sees the same moment."""
        with self._explained(), Session(self._backend.reader, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        """Give all connections back."""
        self._backend.writer.dispose()
        self._backend.reader.dispose()

    def is_replaced(self) -> bool:
        """Tell whether an SQLite file is no longer the one that was opened: moved away, or another in its place.

        What is written goes to the one that was opened, wherever that is now.
        """
        return self._backend.file() != self._file

    def trouble(self) -> str | None:
        """Return what keeps an SQLite file from being written at this moment, None if nothing does."""
        reason = self._backend.trouble()
        return None if reason is None else self._line(reason)

    def revision(self) -> str | None:
        """Return the schema's version, None for an empty database."""
        with self._explained(), self._backend.reader.connect() as connection:
            return _revision(connection)

    def _bring_up(self, *, migrate: bool) -> str | None:
        try:
            self._backend.prepare()
        except OSError as error:
            raise DatabaseError(self._line(error.strerror or str(error))) from error
        found = self.revision()
        if found == SCHEMA_VERSION:
            return found
        from models.records.backends import migrating  # slow, and not needed above

        if found is not None and found not in migrating.known_versions():
            raise DatabaseError(
                f"the database {self.shown_url} is at version {found}, which this program (at {SCHEMA_VERSION}) "
                "does not know: it was made by a newer one. Upgrade Nightshift on this machine, or set "
                "NIGHTSHIFT_DATABASE_URL to another"
            )
        if not migrate:
            raise DatabaseError(
                f"the database {self.shown_url} is at version {found or 'none'}, this program needs {SCHEMA_VERSION}: "
                "end the workers, bring the database up with `producer migrate`, and start workers of this version"
            )
        with self._backend.writer.connect() as connection, connection.begin():
            self._backend.lock_for_migration(connection)
            # Alembic looks at the version again, for whoever waited for the lock may find the work done.
            migrating.upgrade(connection)
        return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the driver says into one line that a user can act on."""
        try:
            yield
        except DBAPIError as error:
            kind = DatabaseBusyError if self._backend.passes(error) else DatabaseError
            raise kind(self._line(str(error.orig), error)) from error
        except SQLAlchemyError as error:
            raise DatabaseError(f"the database {self.shown_url}: {error}") from error

    def _line(self, complaint: str, error: DBAPIError | None = None) -> str:
        reason = (complaint.splitlines() or ["no reason given"])[0]
        advice = self._backend.advice(reason, error)
        return f"the database {self.shown_url} cannot be used: {reason}. {advice}"


def _backend(url: str, busy_timeout_s: float) -> Backend:
    """Return what the URL is of.

    Raises:
        ArgumentError: it is of no database that is supported, or cannot be read.
    """
    found = parsed(url)
    match found.get_backend_name():
        case "sqlite":
            from models.records.backends.sqlite import Sqlite

            return Sqlite(found, busy_timeout_s)
        case "postgresql":
            from models.records.backends.postgresql import Postgresql

            return Postgresql(found, busy_timeout_s)
        case other:
            raise ArgumentError(f"{other} is not supported; sqlite and postgresql are")


def _revision(connection: Connection) -> str | None:
    """Return what Alembic noted as the schema's version, None where it never did."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version
