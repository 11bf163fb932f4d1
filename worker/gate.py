"""The gate before a claim, where the device waits while a person has paused the queue."""

from datetime import datetime

from models.database import Database
from models.errors import AttemptStoppedError
from models.pauses import paused_since
from models.settings import Settings
from worker.events import Event
from worker.log import event, log
from worker.patience import Patience
from worker.shutdown import Shutdown


class Gate:
    """Holds the device's thread back while the queue is paused."""

    def __init__(self, database: Database, settings: Settings, patience: Patience, shutdown: Shutdown) -> None:
        self._database = database
        self._settings = settings
        self._patience = patience
        self._shutdown = shutdown

    def wait(self) -> None:
        """Return when the queue goes on.

        Raises:
            AttemptStoppedError: the worker was told to end.
            DatabaseError: the worker was told to end while the database could not be read.
        """
        said = False
        while since := self._patience.until_done(self._paused_since):
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
