"""A sign of life for the running job, from a thread of its own, as long as the job gets on.

Celery's own timer stops while Redis is away, so it cannot carry this.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from models.records.claims import Claim
from models.records.database import Database
from models.settings import Settings
from models.types.errors import AttemptStoppedError
from worker.beat import Beat
from worker.care.hang import HangWatch
from worker.care.lease import Lease
from worker.care.limits import Limits
from worker.care.retrying import Retrier
from worker.shutdown import Shutdown


class Heartbeat:
    """Renews one claim while its block runs, and says in the device's thread when the attempt should end."""

    def __init__(
        self,
        database: Database,
        claim: Claim,
        settings: Settings,
        shutdown: Shutdown,
        retrier: Retrier,
        usual_limit_s: float | None,
    ) -> None:
        """Give up a job that gets on for longer than `usual_limit_s`, since others of its kind did not."""
        self._interval_s = settings.heartbeat_s
        self._shutdown = shutdown
        self._lease = Lease(database, claim)
        self._limits = Limits(settings, usual_limit_s)
        self._hang = HangWatch(database, claim, settings, retrier)

    @contextmanager
    def beating(self) -> Iterator["Heartbeat"]:
        """Renew the claim until the block ends."""
        with Beat("heartbeat", self._interval_s, self._beat):
            yield self

    def begin(self) -> None:
        """Begin to count the time that the job may take: what came before, a load, is no part of it."""
        self._limits.begin()
        self._hang.advance()

    def advance(self, step: int) -> None:
        """Note that the job got on by a step; raise if the attempt should end here.

        Raises:
            CancelledError, LostClaimError: as `Lease.require` does.
            AttemptStoppedError: the worker was told to end at once.
            GenerationError: the job has had its time.
        """
        self._hang.advance()
        self._lease.require()
        if self._shutdown.at_once.is_set():
            raise AttemptStoppedError("the worker was told to end at once")
        self._limits.require(step)

    def wait(self, seconds: float) -> None:
        """Wait for something outside of the job, which does not count as hanging.

        Raises:
            CancelledError, LostClaimError, AttemptStoppedError: as `advance` does.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._shutdown.asked.is_set():
            self.begin()
            self.advance(0)
            self._shutdown.asked.wait(min(left, self._interval_s))

    def _beat(self) -> None:
        self._limits.spend(self._interval_s)
        self._hang.look()
        self._lease.renew()
