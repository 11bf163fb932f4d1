"""Looking after the queue while a worker lives: jobs whose worker is gone, and messages that Redis does not hold."""

import threading
import time
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from models.attempts import RunningJob, rescue_stalled, running_elsewhere
from models.batches import forget_published, has_due_retries
from models.boots import note_alive
from models.database import Database
from models.errors import BrokerError, DatabaseError
from models.settings import Settings
from worker.celery import QUEUE, publish
from worker.log import log

#: Looks in a row at an empty queue before it is believed that messages were lost, not that they are on their way.
_EMPTY_LOOKS = 3


class Sweep:
    """Looks once a heartbeat, in a thread of its own."""

    def __init__(self, app: Celery, database: Database, settings: Settings, boot_id: int) -> None:
        self._app = app
        self._database = database
        self._settings = settings
        self._boot_id = boot_id
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sweep, name="sweep", daemon=True)
        #: Signs of life of other boots' jobs, and when this process first saw each, by its own monotonic clock: clocks
        #: of hosts differ, and a clock may be set back.
        self._signs: dict[RunningJob, float] = {}
        self._empty_looks = 0

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; returns when the present look is over."""
        self._done.set()
        self._thread.join()

    def _sweep(self) -> None:
        while not self._done.wait(self._settings.heartbeat_s):
            try:
                self._rescue()
                self._republish()
            except (DatabaseError, BrokerError, OperationalError, RedisError, OSError) as error:
                # What could not be looked at now can be in a moment; the worker's own connection tells of it too.
                log.debug("the sweep could not look: %s", error)
            except Exception:  # noqa: BLE001 - whatever it is, the log has it
                # Without this thread nothing that is lost comes back, so nothing may end it.
                log.exception("the sweep failed, and goes on")

    def _rescue(self) -> None:
        """Give a sign of life, and put back jobs of other workers that gave none for as long as the settings allow."""
        with self._database.writing() as session:
            note_alive(session, self._boot_id)
            signs = running_elsewhere(session, self._boot_id)
        moment = time.monotonic()
        self._signs = {sign: self._signs.get(sign, moment) for sign in signs}
        stalled = [sign for sign, since in self._signs.items() if moment - since > self._settings.stall_s]
        if not stalled:
            return
        with self._database.writing() as session:
            rescued = rescue_stalled(session, stalled, self._settings.quarantine_after)
        for number in rescued.queued:
            log.warning("job %d: its worker gave no sign of life for %g s; put back", number, self._settings.stall_s)
        for number in rescued.quarantined:
            log.error("job %d is set aside: its worker went away too often while it ran", number)

    def _republish(self) -> None:
        """Put jobs on the queue that wait in the database alone."""
        with self._app.connection_for_write() as connection:
            self._empty_looks = 0 if _length(connection) else self._empty_looks + 1
        if self._empty_looks >= _EMPTY_LOOKS:
            # A message that a worker holds already comes a second time; that finds nothing to claim. It also lies in
            # the queue until then, so there is no third.
            with self._database.writing() as session:
                forget_published(session)
            self._empty_looks = 0
        elif not self._retries_due():
            return
        count = publish(self._app, self._database)
        if count:
            log.warning("published %d jobs that were not on the queue", count)

    def _retries_due(self) -> bool:
        with self._database.reading() as session:
            return has_due_retries(session)


def _length(connection: Any) -> int:
    """Return how many messages wait in Redis."""
    # Not passively: kombu then asks for a key without the prefix that all keys of ours have, and finds no queue.
    return int(connection.default_channel.queue_declare(QUEUE).message_count)
