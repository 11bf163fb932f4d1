"""Noticing that the database's file is another one now, as after a copy was brought back."""

from models.records.database import Database
from worker.events import Event
from worker.log import event, log
from worker.shutdown import Shutdown

#: Looks in a row: between moving one file away and another one there, there is none.
_LOOKS = 2


class DatabaseWatch:
    """Looks once a heartbeat; the worker begins anew with what is there, and until then writes to the one it opened."""

    def __init__(self, database: Database, shutdown: Shutdown) -> None:
        self._database = database
        self._shutdown = shutdown
        self._looks = 0

    def look(self) -> None:
        """Have the worker begin anew if the file is another one at the second look in a row."""
        self._looks = self._looks + 1 if self._database.is_replaced() else 0
        if self._looks == _LOOKS:
            log.warning(
                "the file of the database %s is another one now: the worker finishes its job and begins anew with that",
                self._database.shown_url,
                extra=event(Event.DATABASE_REPLACED),
            )
            self._shutdown.begin_anew()
