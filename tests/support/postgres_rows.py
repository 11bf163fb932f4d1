"""Counting the rows that PostgreSQL reads, which are the same on every computer."""

from collections.abc import Callable

from sqlalchemy import text
from sqlalchemy.orm import Session

#: What the statements of this transaction have read of tables so far, by their indexes or in whole.
_READ = text("SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables")


def rows_read(session: Session, call: Callable[[Session], object]) -> int:
    """Return how many rows the call reads."""
    before = session.scalar(_READ) or 0
    call(session)
    return int((session.scalar(_READ) or 0) - before)
