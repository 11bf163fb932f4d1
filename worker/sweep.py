"""Looking after the queue while a worker lives: jobs whose worker is gone, and messages that Redis does not hold."""

import time
from collections.abc import Callable, Collection

from celery import Celery

from models.attempts import RunningJob, rescue_stalled, running_elsewhere
from models.batches import due_retries, forget_published, has_waiting
from models.boots import note_alive
from models.database import Database
from models.settings import Settings
from worker.log import log
from worker.publishing import messages_waiting, publish

#: Looks in a row at an empty queue before it is believed that messages were lost, not that they are on their way.
_EMPTY_LOOKS = 3
#: Jobs published again at once, which takes seconds; where more were lost, the queue is empty again after these.
_MOST_AT_ONCE = 10_000


class Sweep:
    """Looks once a heartbeat; what it publishes is what it found to be lost, never what waits in Redis."""

    def __init__(
        self, app: Celery, database: Database, settings: Settings, boot_id: int, in_hand: Callable[[], int | None]
    ) -> None:
        """Look on behalf of a boot; `in_hand` tells which job's message it has taken and not yet acknowledged."""
        self._app = app
        self._database = database
        self._settings = settings
        self._boot_id = boot_id
        self._in_hand = in_hand
        #: Signs of life of other boots' jobs, and when this process first saw each, by its own monotonic clock: clocks
        #: of hosts differ, and a clock may be set back.
        self._signs: dict[RunningJob, float] = {}
        self._empty_looks = 0

    def look(self) -> None:
        """Give a sign of life, put back what stalled, and publish what waits in the database alone.

        Raises:
            DatabaseError: if the database cannot be used.
            BrokerError, RedisError, OSError: if Redis cannot be used.
        """
        rescued = self._rescue()
        with self._database.reading() as session:
            retries = due_retries(session)
        self._publish([*rescued, *retries])
        self._empty_looks = self._empty_looks + 1 if self._looks_lost() else 0
        if self._empty_looks < _EMPTY_LOOKS:
            return
        self._empty_looks = 0
        with self._database.writing() as session:
            forget_published(session, _MOST_AT_ONCE, self._in_hand())
        # And with these what was recorded while Redis was away.
        self._publish()

    def _looks_lost(self) -> bool:
        """Tell whether jobs wait and the queue is empty, as it also is while `enqueue` sends the first messages."""
        if messages_waiting(self._app):
            return False
        with self._database.reading() as session:
            return has_waiting(session, self._in_hand())

    def _rescue(self) -> Collection[int]:
        """Put back jobs of other workers that gave no sign of life for as long as the settings allow."""
        with self._database.writing() as session:
            note_alive(session, self._boot_id)
            signs = running_elsewhere(session, self._boot_id)
        moment = time.monotonic()
        self._signs = {sign: self._signs.get(sign, moment) for sign in signs}
        stalled = [sign for sign, since in self._signs.items() if moment - since > self._settings.stall_s]
        if not stalled:
            return []
        with self._database.writing() as session:
            rescued = rescue_stalled(session, stalled, self._settings.quarantine_after)
        for number in rescued.queued:
            log.warning("job %d: its worker gave no sign of life for %g s; put back", number, self._settings.stall_s)
        for number in rescued.quarantined:
            log.error("job %d is set aside: its worker went away too often while it ran", number)
        return rescued.queued

    def _publish(self, jobs: Collection[int] | None = None) -> None:
        if jobs is not None and not jobs:
            return
        count = publish(self._app, self._database, jobs=jobs)
        if count:
            log.warning("published %d jobs that were not on the queue", count)
