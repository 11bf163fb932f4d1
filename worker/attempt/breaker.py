"""Noticing that attempts fail for no reason of their jobs: then it is the process or the device."""

from dataclasses import replace

from models.types.causes import Cause, Trait
from models.types.exit_status import ExitStatus
from models.types.states import Outcome
from worker.attempt.attempt import Attempt
from worker.events import Event
from worker.log import event, log
from worker.shutdown import Shutdown


class Breaker:
    """Has the worker leave, so that a new process goes on with the job.

    That is at once where the device did not do what it was told, and otherwise after so many attempts in a row.
    """

    def __init__(self, limit: int, shutdown: Shutdown) -> None:
        self._limit = limit
        self._shutdown = shutdown
        self._in_a_row = 0

    def count(self, attempt: Attempt) -> Attempt:
        """Count the attempt, which the device is done with; return it, given back where it is one too many."""
        if attempt.cause is Cause.DEVICE:
            log.critical(
                "job %d: %s; the worker ends, to be started anew",
                attempt.claim.job_id,
                attempt.error,
                extra=event(Event.DEVICE_FAULTY, job=attempt.claim.job_id),
            )
            self._shutdown.ask(ExitStatus.DEVICE)
        if attempt.outcome is Outcome.RUNNING:
            self._in_a_row = 0
        if attempt.cause is None or Trait.TELLS_OF_PROCESS not in attempt.cause.traits:
            return attempt
        self._in_a_row += 1
        if self._in_a_row < self._limit:
            return attempt
        log.critical(
            "%d attempts in a row failed (%s): job %d goes back, and the worker ends, to be started anew",
            self._in_a_row,
            attempt.error,
            attempt.claim.job_id,
            extra=event(Event.WORKER_FAULTY, job=attempt.claim.job_id),
        )
        self._shutdown.ask(ExitStatus.FAULTY)
        return replace(attempt, outcome=Outcome.LOST)
