"""PostgreSQL: the record of a fleet.

Nothing is kept in a connection that another transaction counts on: no prepared statements, no settings of a session.
So a pgbouncer between, which gives each transaction the connection that is free, changes nothing.
"""

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import ArgumentError, DBAPIError

#: Seconds that a statement may take, and that a transaction may wait for its program, before the server ends them: a
#: program that hangs or is cut off must not hold its rows for ever.
_STATEMENT_S, _IDLE_S = 120, 120
#: Of libpq: a server that does not answer is given up after these seconds, a link that is dead after some 40.
_LINK = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "40000",
    "application_name": "nightshift",
}
#: A program's threads need two at most times; those beyond are closed after use, so that many workers share a server.
_KEPT, _MORE = 2, 8
#: Seconds after which a connection that is kept is made anew, as those who balance loads between servers count on.
_RENEWED_S = 1_800
#: Classes of states (SQLSTATE) that pass: the link, a conflict of transactions, resources, locks, a server that starts
#: or stops and a statement that took too long, the server's disk. https://www.postgresql.org/docs/current/errcodes-appendix.html
_PASSING = ("08", "40", "53", "55", "57", "58")
#: A connection that is refused has no state, and these words where that passes.
_PASSING_WORDS = ("too many clients", "connection slots", "starting up", "shutting down", "not yet accepting")
#: By a state's class, or words of the complaint.
_ADVICE = {
    "authentication failed": "Are user and password of NIGHTSHIFT_DATABASE_URL right?",
    "does not exist": "Make it on the server first: CREATE DATABASE",
    "42501": "Its user lacks the right: GRANT it, or name its owner in NIGHTSHIFT_DATABASE_URL",
    "53100": "Free some space on the server",
    "too many clients": "Raise the server's max_connections, or put pgbouncer before it",
    "connection slots": "Raise the server's max_connections, or put pgbouncer before it",
    "55P03": "Another program holds the row or table: see pg_stat_activity",
    "57014": f"It took longer than {_STATEMENT_S} s: is the server overloaded?",
}
#: Until the server has looked at a table again, which takes it a minute, it takes 100,000 new jobs for a few and sorts
#: them all for each claim (100 ms), in place of reading the first of the index that is in order (0.3 ms). A sort that
#: cannot be done without counts as so costly then that the whole would be compiled first (400 ms).
_PLANNING = {"enable_sort": "off", "enable_bitmapscan": "off", "jit": "off"}
#: The key of the lock that those who migrate wait for; any number that nobody else takes.
_MIGRATION = 0x6E696768


class Postgresql:
    """A server's database; see `backend.Backend`.

    Raises:
        ArgumentError: the driver is not installed, or is not psycopg.
    """

    migrates_itself = False

    def __init__(self, url: URL, busy_timeout_s: float) -> None:
        if url.drivername not in ("postgresql", "postgresql+psycopg"):
            raise ArgumentError(f"write postgresql:// in place of {url.drivername}://: its driver here is psycopg")
        url = url.set(drivername="postgresql+psycopg")
        try:
            self.writer = create_engine(
                url,
                # Whatever the person's URL says of the link counts.
                connect_args={"prepare_threshold": None, **{n: v for n, v in _LINK.items() if n not in url.query}},
                isolation_level="READ COMMITTED",
                pool_pre_ping=True,
                pool_size=_KEPT,
                max_overflow=_MORE,
                pool_recycle=_RENEWED_S,
                pool_use_lifo=True,
            )
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("psycopg"):
                raise
            raise ArgumentError("PostgreSQL needs its driver: pip install 'nightshift[postgresql]'") from error
        # Of one pool, so that a program takes half as many connections.
        self.reader: Engine = self.writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        limits = {
            "statement_timeout": _STATEMENT_S,
            "idle_in_transaction_session_timeout": _IDLE_S,
            "lock_timeout": busy_timeout_s,
        }
        # Within the transaction: what is set of a session would be another program's, behind a pgbouncer.
        begun = "SELECT " + ", ".join(
            f"set_config('{name}', '{value}', true)"
            for name, value in {**{n: int(s * 1000) for n, s in limits.items()}, **_PLANNING}.items()
        )
        event.listen(self.writer, "begin", lambda connection: connection.exec_driver_sql(begun))

    def prepare(self) -> None:
        """Do nothing: a person makes it on the server."""

    def lock_for_migration(self, connection: Connection) -> None:
        """Take a lock of the database's, and lift the limits of time."""
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION})

    def passes(self, error: DBAPIError) -> bool:
        """Tell it by the class of the state, or by words where there is none; a link that was cut passes."""
        words = any(words in str(error.orig) for words in _PASSING_WORDS)
        return error.connection_invalidated or _state(error).startswith(_PASSING) or words

    def advice(self, reason: str, error: DBAPIError | None = None) -> str:
        """Return what to do about a state."""
        state = _state(error)
        known = (advice for mark, advice in _ADVICE.items() if state.startswith(mark) or mark in reason)
        return next(known, "Is NIGHTSHIFT_DATABASE_URL right and the server running?")

    def file(self) -> tuple[int, int] | None:
        """Return None."""
        return None

    def trouble(self) -> str | None:
        """Return None: who asks it has read from it a moment ago."""
        return None


def _state(error: DBAPIError | None) -> str:
    return getattr(error and error.orig, "sqlstate", None) or ""
