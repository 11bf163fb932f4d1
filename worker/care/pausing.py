"""Waiting while a person has paused the queue."""

from datetime import datetime

from models.records.control import paused_since
from models.records.database import Database
from models.settings import Settings
from models.types.errors import AttemptStoppedError
from worker.care.retrying import Retrier
from worker.events import Event
from worker.log import event, log
from worker.shutdown import Shutdown


class PauseWatch:
    """Looks at the record, once a heartbeat, whether the queue goes on."""

    def __init__(self, database: Database, settings: Settings, retrier: Retrier, shutdown: Shutdown) -> None:
        self._database = database
        self._settings = settings
        self._retrier = retrier
        self._shutdown = shutdown

    def wait(self) -> None:
        """Wait until the queue is not paused.

        Raises:
            AttemptStoppedError: the worker was told to end meanwhile.
            DatabaseError: the same, while the database could not be used.
        """
        said = False
        while since := self._retrier.until_done(self._paused_since):
            if not said:
                log.info(
                    "the queue is paused since %s: `producer resume` goes on",
                    f"{since.astimezone():%H:%M:%S}",
                    extra=event(Event.QUEUE_PAUSED),
                )
                said = True
            if self._shutdown.asked.wait(self._settings.heartbeat_s):
                raise AttemptStoppedError("the worker was told to end while the queue is paused")
        if said:
            log.info("the queue goes on", extra=event(Event.QUEUE_RESUMED))

    def _paused_since(self) -> datetime | None:
        with self._database.reading() as session:
            return paused_since(session)
