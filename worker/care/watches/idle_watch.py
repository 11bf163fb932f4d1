"""Noticing a worker that takes nothing although messages wait, whatever the cause.

A worker lives by one link to Redis, and there are states of that link in which nothing fails and nothing comes: the
process runs, answers when it is asked, and a night goes by.
"""

import time
from collections.abc import Callable

from models.types.exit_status import ExitStatus
from worker.events import Event
from worker.log import event, log
from worker.queue.deliveries import Deliveries
from worker.shutdown import Shutdown


class IdleWatch:
    """Has the worker connect anew once it was idle for too long, and end if it still is as long after that."""

    def __init__(
        self,
        limit_s: float,
        deliveries: Deliveries,
        waiting: Callable[[], int],
        connect_anew: Callable[[], None],
        shutdown: Shutdown,
    ) -> None:
        """Watch these deliveries against the messages that `waiting` counts in Redis."""
        self._limit_s = limit_s
        self._deliveries = deliveries
        self._waiting = waiting
        self._connect_anew = connect_anew
        self._shutdown = shutdown
        #: How many deliveries there were when messages were first seen to wait for an idle worker, and when that was.
        self._idle: tuple[int, float] | None = None
        self._connected_anew = False

    def look(self) -> None:
        """Look once; to be called more often than the limit lasts.

        Raises:
            RedisError, OSError: if Redis cannot be asked, which is no idleness.
        """
        seen, self._idle = self._idle, None
        if self._deliveries.busy or self._shutdown.asked.is_set() or not self._waiting():
            self._connected_anew = False
            return
        count = self._deliveries.count
        if seen is None or seen[0] != count:
            self._idle = count, time.monotonic()
            return
        self._idle = seen
        idle_s = time.monotonic() - seen[1]
        if idle_s >= self._limit_s:
            self._idle = None
            self._act(idle_s)

    def _act(self, idle_s: float) -> None:
        if self._connected_anew:
            log.critical(
                "idle for %.0f s more while messages wait: the worker ends, to be started anew",
                idle_s,
                extra=event(Event.WORKER_IDLE),
            )
            self._shutdown.leave(ExitStatus.IDLE)
            return
        log.warning(
            "idle for %.0f s while messages wait: the worker connects to Redis anew",
            idle_s,
            extra=event(Event.WORKER_CONNECTS_ANEW),
        )
        self._connected_anew = True
        self._connect_anew()
