"""A sign of life for a running segment, from a thread of its own, as long as it gets on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from models.records.attempts import Ended
from models.records.database import Database
from models.records.trainings.segments import SegmentClaim, SegmentResult, lose_segment, renew_segment
from models.settings import Settings
from models.types.causes import Cause
from models.types.errors import AttemptStoppedError, CancelledError, DatabaseError, LostClaimError
from models.types.fate import Fate, fate
from models.types.states import Outcome
from worker.beat import Beat
from worker.care.retrying import Retrier
from worker.care.watches.hang import HangWatch
from worker.events import Event
from worker.log import event, log
from worker.shutdown import Shutdown


class SegmentHeartbeat:
    """Renews a claim while its block runs, and says when the segment should end."""

    def __init__(
        self, database: Database, claim: SegmentClaim, settings: Settings, shutdown: Shutdown, retrier: Retrier
    ) -> None:
        self._database = database
        self._claim = claim
        self._settings = settings
        self._shutdown = shutdown
        self._hang = HangWatch(settings, retrier, self._give_up)
        self._lost: CancelledError | LostClaimError | None = None

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Renew the claim until the block ends."""
        with Beat("heartbeat", self._settings.heartbeat_s, self._beat):
            yield

    def advance(self) -> None:
        """Note that it got on; raise if it should end here.

        Raises:
            CancelledError: `producer cancel` asked for it.
            LostClaimError: the training is no longer this segment's.
            AttemptStoppedError: the worker was told to end at once.
        """
        self._hang.advance()
        if self._lost is not None:
            raise self._lost
        if self._shutdown.at_once.is_set():
            raise AttemptStoppedError("the worker was told to end at once")

    def wait(self, seconds: float) -> None:
        """Wait for something outside of it, which does not count as hanging; raises as `advance` does."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._shutdown.asked.is_set():
            self.advance()
            self._shutdown.asked.wait(min(left, self._settings.heartbeat_s))

    def _beat(self) -> None:
        self._hang.look()
        try:
            with self._database.writing() as session:
                asked = renew_segment(session, self._claim)
        except DatabaseError as error:
            log.warning(
                "training %s: no sign of life could be written: %s",
                self._claim.name,
                error,
                extra=event(Event.HEARTBEAT_FAILED, **self._claim.ids),
            )
            return
        if asked is None:
            self._lost = LostClaimError("the training was taken from this worker")
        elif asked:
            self._lost = CancelledError(Cause.CANCELLED.sentence)

    def _give_up(self, what: str) -> None:
        claim, tries = self._claim, self._settings.tries
        result = SegmentResult(Outcome.LOST, cause=Cause.HUNG, error=what)
        aside = fate(Outcome.LOST, Cause.HUNG, claim.failures, claim.losses, tries) is Fate.QUARANTINE

        def write() -> None:
            with self._database.writing() as session:
                lose_segment(session, claim, result, Ended.now(), set_aside=aside)

        said = _said(write)
        log.critical(
            "training %s: %s%s; the worker ends itself",
            claim.name,
            what,
            said,
            extra=event(Event.ATTEMPT_HUNG, **claim.ids),
        )


def _said(write: Callable[[], None]) -> str:
    try:
        write()
    except DatabaseError as error:
        return f"; not recorded: {error}"
    return ""
