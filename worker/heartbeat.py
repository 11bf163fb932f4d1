"""A sign of life for the running job, from a thread of its own, and news of its cancelling.

Celery's own timer stops while Redis is away, so it cannot carry this.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from models.attempts import Claim, renew
from models.database import Database
from models.errors import CancelledError, DatabaseError
from worker.log import log


class Heartbeat:
    """Renews one claim while its block runs; `check` raises in the device thread once cancelling was asked for."""

    def __init__(self, database: Database, claim: Claim, interval_s: float) -> None:
        self._database = database
        self._claim = claim
        self._interval_s = interval_s
        self._done = threading.Event()
        self._stop_because: str | None = None

    @contextmanager
    def beating(self) -> Iterator["Heartbeat"]:
        """Renew the claim until the block ends."""
        thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._done.set()
            thread.join()

    def check(self, _step: int) -> None:
        """Raise if the attempt should end here.

        Raises:
            CancelledError: `producer cancel` asked for it, or the job is no longer this attempt's.
        """
        if self._stop_because is not None:
            raise CancelledError(self._stop_because)

    def _beat(self) -> None:
        while not self._done.wait(self._interval_s):
            try:
                with self._database.writing() as session:
                    cancelled = renew(session, self._claim)
            except DatabaseError as error:
                log.warning("job %d: no sign of life could be written: %s", self._claim.job_id, error)
                continue
            if cancelled is None:
                self._stop_because = "the job was taken from this worker"
            elif cancelled:
                self._stop_because = "cancelled by `producer cancel`"
