"""What differs between the databases that the record may lie in."""

from typing import Protocol

from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError


class Backend(Protocol):
    """One database: its engines, and what its complaints mean."""

    #: Of transactions that write, and of those that see one moment.
    writer: Engine
    reader: Engine
    #: Whether each program brings the schema to its version; else a person does, for all programs at once.
    migrates_itself: bool

    def prepare(self) -> None:
        """Make what the database needs before it is opened.

        Raises:
            OSError: it cannot be made.
        """

    def lock_for_migration(self, connection: Connection) -> None:
        """Have others who migrate wait until the transaction is over, which may take as long as it needs."""

    def passes(self, error: DBAPIError) -> bool:
        """Tell whether it may be over without anybody's doing anything about this database's settings."""

    def advice(self, reason: str, error: DBAPIError | None = None) -> str:
        """Return what to do about a complaint."""

    def file(self) -> tuple[int, int] | None:
        """Return which file is there at this moment, None where the record is no file."""

    def trouble(self) -> str | None:
        """Return what keeps it from being written at this moment, None if nothing does, or nothing that is seen."""


def parsed(url: str) -> URL:
    """Read the URL of a database.

    Raises:
        ArgumentError: in words that hold no part of a password, which SQLAlchemy's own may.
    """
    try:
        # Other programs write it so, which SQLAlchemy does not know.
        found = make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
    except ValueError:
        found = None
    if found is None or "@" in (found.host or ""):
        raise ArgumentError("its port is no number, or an @ or : of its password is not written as %40 or %3A")
    return found
