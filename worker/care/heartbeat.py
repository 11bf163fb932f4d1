"""A sign of life for the running job, from a thread of its own, as long as the job gets on.

Celery's own timer stops while Redis is away, so it cannot carry this.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from models.records.attempts import Result, lose
from models.records.claims import Claim, renew
from models.records.database import Database
from models.settings import Settings
from models.types.causes import Cause
from models.types.errors import AttemptStoppedError, CancelledError, DatabaseError, GenerationError, LostClaimError
from models.types.exit_status import ExitStatus
from models.types.fate import Fate, fate
from models.types.states import Outcome
from worker.beat import Beat
from worker.care.patience import Patience
from worker.events import Event
from worker.log import event, log
from worker.shutdown import Shutdown


class Heartbeat:
    """Renews one claim while its block runs, and says in the device thread when the attempt should end."""

    def __init__(
        self,
        database: Database,
        claim: Claim,
        settings: Settings,
        shutdown: Shutdown,
        patience: Patience,
        usual_limit_s: float | None,
    ) -> None:
        """Give up a job that gets on for longer than `usual_limit_s`, since others of its kind did not."""
        self._database = database
        self._claim = claim
        self._settings = settings
        self._shutdown = shutdown
        self._patience = patience
        self._usual_limit_s = usual_limit_s
        self._quiet_s = 0.0
        self._spent_s = 0.0
        self._advanced = threading.Event()
        #: Why the attempt should end, as the last sign of life found out.
        self._ended: CancelledError | LostClaimError | None = None
        self._begun = time.monotonic()

    @contextmanager
    def beating(self) -> Iterator["Heartbeat"]:
        """Renew the claim until the block ends."""
        with Beat("heartbeat", self._settings.heartbeat_s, self._beat):
            yield self

    def begin(self) -> None:
        """Begin to count the time that the job may take: what came before, a load, is no part of it."""
        self._begun = time.monotonic()
        self._spent_s = 0.0
        self._advanced.set()

    def advance(self, step: int) -> None:
        """Note that the job got on by a step; raise if the attempt should end here.

        Raises:
            CancelledError: `producer cancel` asked for it.
            LostClaimError: the job is no longer this attempt's.
            AttemptStoppedError: the worker was told to end at once.
            GenerationError: the job has had its time.
        """
        self._advanced.set()
        if self._ended is not None:
            raise self._ended
        if self._shutdown.at_once.is_set():
            raise AttemptStoppedError("the worker was told to end at once")
        took, deadline = time.monotonic() - self._begun, self._settings.deadline_s
        if deadline and took > deadline:
            raise GenerationError(
                Cause.DEADLINE,
                f"not done after {took:.0f} s and {step} steps: make it smaller or give it fewer steps, or set "
                f"NIGHTSHIFT_DEADLINE_S, which is {deadline:g}",
            )
        if self._usual_limit_s is not None and self._spent_s > self._usual_limit_s:
            raise GenerationError(
                Cause.SLOW,
                f"not done after {self._spent_s:.0f} s and {step} steps: others of its kind, with "
                f"NIGHTSHIFT_DEADLINE_TIMES, give it {self._usual_limit_s:.0f} s",
            )

    def wait(self, seconds: float) -> None:
        """Wait for something outside of the job, which does not count as hanging.

        Raises:
            CancelledError, LostClaimError, AttemptStoppedError: as `advance` does.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._shutdown.asked.is_set():
            self.begin()
            self.advance(0)
            self._shutdown.asked.wait(min(left, self._settings.heartbeat_s))

    def _beat(self) -> None:
        # Beats are counted, not time: a process that was frozen for an hour has not hung for one.
        gets_on = self._advanced.is_set() or self._patience.waiting
        self._quiet_s = 0.0 if gets_on else self._quiet_s + self._settings.heartbeat_s
        self._spent_s += self._settings.heartbeat_s
        self._advanced.clear()
        if self._quiet_s > self._settings.hang_s:
            self._leave(self._quiet_s)
        self._renew()

    def _renew(self) -> None:
        try:
            with self._database.writing() as session:
                cancelled = renew(session, self._claim)
        except DatabaseError as error:
            log.warning(
                "job %d: no sign of life could be written: %s",
                self._claim.job_id,
                error,
                extra=event(Event.HEARTBEAT_FAILED, **self._claim.ids),
            )
            return
        if cancelled is None:
            self._ended = LostClaimError("the job was taken from this worker")
        elif cancelled:
            self._ended = CancelledError(Cause.CANCELLED.sentence)

    def _leave(self, quiet_s: float) -> None:
        """Give the job up and end the process: a thread that hangs in the device's driver cannot be ended."""
        what = f"no step for {quiet_s:.0f} s: the device hangs"
        claim, settings = self._claim, self._settings
        result = Result(Outcome.LOST, cause=Cause.HUNG, error=what)
        is_set_aside = (
            fate(result.outcome, result.cause, claim.failures, claim.losses, settings.tries) is Fate.QUARANTINE
        )
        try:
            with self._database.writing() as session:
                lose(session, claim, result, set_aside=is_set_aside)
        except DatabaseError as error:
            log.critical(
                "job %d: %s; not recorded: %s",
                self._claim.job_id,
                what,
                error,
                extra=event(Event.ATTEMPT_HUNG, **self._claim.ids),
            )
        else:
            now = "is set aside" if is_set_aside else "went back to the queue"
            log.critical(
                "job %d: %s; it %s, and the worker ends itself",
                self._claim.job_id,
                what,
                now,
                extra=event(Event.ATTEMPT_HUNG, **self._claim.ids),
            )
        os._exit(ExitStatus.HUNG)
