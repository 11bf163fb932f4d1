"""A sign of life for the running jobs of a call, from a thread of its own, as long as they get on.

Celery's own timer stops while Redis is away, so it cannot carry this.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from models.records.claims import Claim
from models.records.database import Database
from models.settings import Settings
from models.types.errors import AttemptStoppedError
from worker.beat import Beat
from worker.care.lease import Lease
from worker.care.limits import Limits
from worker.care.retrying import Retrier
from worker.care.watches.hang import HangWatch, give_jobs_up
from worker.shutdown import Shutdown


class Heartbeat:
    """Renews the claims of one call while its block runs, and says when one of their attempts should end."""

    def __init__(
        self,
        database: Database,
        claims: Sequence[Claim],
        settings: Settings,
        shutdown: Shutdown,
        retrier: Retrier,
        usual_limit_s: float | None,
    ) -> None:
        """Give jobs up that get on for longer than `usual_limit_s` each, since others of their kind did not."""
        self._interval_s = settings.heartbeat_s
        self._shutdown = shutdown
        self._lease = Lease(database, claims)
        self._limits = Limits(settings, usual_limit_s, len(claims))
        self._hang = HangWatch(settings, retrier, partial(give_jobs_up, database, claims, settings.tries))

    @contextmanager
    def beating(self) -> Iterator["Heartbeat"]:
        """Renew the claims until the block ends."""
        with Beat("heartbeat", self._interval_s, self._beat):
            yield self

    def begin(self) -> None:
        """Begin to count the time that the jobs may take: what came before, a load, is no part of it."""
        self._limits.begin()
        self._hang.advance()

    def advance(self, claim: Claim, step: int) -> None:
        """Note that a job got on by a step; raise if its attempt should end here.

        Raises:
            CancelledError, LostClaimError: as `Lease.require` does.
            AttemptStoppedError: the worker was told to end at once.
            GenerationError: the job has had its time.
        """
        self._hang.advance()
        self._lease.require(claim)
        if self._shutdown.at_once.is_set():
            raise AttemptStoppedError("the worker was told to end at once")
        self._limits.require(step)

    def wait(self, claim: Claim, seconds: float) -> None:
        """Wait for something outside of a job, which does not count as hanging.

        Raises:
            CancelledError, LostClaimError, AttemptStoppedError: as `advance` does.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._shutdown.asked.is_set():
            self.begin()
            self.advance(claim, 0)
            self._shutdown.asked.wait(min(left, self._interval_s))

    def _beat(self) -> None:
        self._limits.spend(self._interval_s)
        self._hang.look()
        self._lease.renew()
