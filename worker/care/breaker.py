"""Noticing that attempts fail for no reason of their jobs: then it is the process or the device."""

from collections.abc import Mapping

from models.types.causes import Cause, Trait
from models.types.exit_status import ExitStatus
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

    def is_one_too_many(self, what: str, ids: Mapping[str, object], cause: Cause | None, error: str | None) -> bool:
        """Count an attempt, of `what`, which the device is done with: it ended by a cause, or, without one, well.

        True where it is one too many, which nobody blames it for.
        """
        if cause is Cause.DEVICE:
            log.critical(
                "%s: %s; the worker ends, to be started anew", what, error, extra=event(Event.DEVICE_FAULTY, **ids)
            )
            self._shutdown.ask(ExitStatus.DEVICE)
        if cause is None:
            self._in_a_row = 0
        if cause is None or Trait.TELLS_OF_PROCESS not in cause.traits:
            return False
        self._in_a_row += 1
        if self._in_a_row < self._limit:
            return False
        log.critical(
            "%d attempts in a row failed (%s): %s goes back, and the worker ends, to be started anew",
            self._in_a_row,
            error,
            what,
            extra=event(Event.WORKER_FAULTY, **ids),
        )
        self._shutdown.ask(ExitStatus.FAULTY)
        return True
