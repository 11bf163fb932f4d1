"""Counting what SQLite's machine does, which is the same on every computer."""

from collections.abc import Callable

from sqlalchemy.orm import Session

#: Instructions of SQLite's machine between two counts.
_EVERY = 50


def steps(session: Session, call: Callable[[Session], object]) -> int:
    """Return how many instructions the call takes, in units of 50."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    connection = session.connection().connection.driver_connection
    connection.set_progress_handler(count, _EVERY)
    try:
        call(session)
    finally:
        connection.set_progress_handler(None, 0)
    return taken
