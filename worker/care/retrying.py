"""Waiting for what a person or another program mends: a full disk, a locked or read-only database."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential_jitter,
)

from models.records.publication import LONGEST_WAIT
from models.types.errors import DatabaseBusyError, DatabaseError, ExaminerError, StorageError
from worker.events import Event
from worker.log import event, log
from worker.shutdown import Shutdown

_FIRST_S, _LONGEST_S = 0.5, 10.0
#: Seconds between two lines in the log that say the same.
_SAID_AGAIN_S = 60.0
_Value = TypeVar("_Value")


class Retrier:
    """Does what failed again, ever less often, until it works or the worker is told to end."""

    def __init__(self, shutdown: Shutdown) -> None:
        self._shutdown = shutdown
        self._note: Callable[[str | None], None] = lambda _: None
        #: Who waits at this moment: the device's thread, the finisher, or both.
        self._waits: set[_Wait] = set()

    @property
    def waiting(self) -> bool:
        """Whether something is waited for at this moment, which is no hanging."""
        return bool(self._waits)

    def tell(self, note: Callable[[str | None], None]) -> None:
        """From now on have `note` told what is waited for, and None when that is over."""
        self._note = note

    def until_done(self, action: Callable[[], _Value], wait: Callable[[float], None] | None = None) -> _Value:
        """Return what `action` returns, however often it has to be called; `wait` waits so many seconds.

        Raises:
            DatabaseError, ExaminerError, StorageError: what `action` raised last when the worker was told to end.
        """
        return self._until_done(action, wait, (DatabaseError, ExaminerError, StorageError))

    def until_free(self, action: Callable[[], _Value]) -> _Value:
        """Return what `action` returns; wait for the disk, but of a database only until it is free, as at the start.

        Raises:
            DatabaseError: what is wrong with the database beside that, or the worker was told to end.
            StorageError: the worker was told to end.
        """
        return self._until_done(action, None, (DatabaseBusyError, StorageError))

    def _until_done(
        self,
        action: Callable[[], _Value],
        wait: Callable[[float], None] | None,
        errors: tuple[type[BaseException], ...],
    ) -> _Value:
        this = _Wait(self._note)
        retrying = Retrying(
            retry=retry_if_exception_type(errors),
            wait=wait_exponential_jitter(multiplier=_FIRST_S, max=_LONGEST_S),
            stop=stop_when_event_set(self._shutdown.asked),
            sleep=wait or sleep_using_event(self._shutdown.asked),
            before_sleep=lambda call: self._begin_or_go_on(this, call),
            reraise=True,
        )
        try:
            done = retrying(action)
        finally:
            self._waits.discard(this)
        if retrying.statistics["attempt_number"] > 1:
            this.end()
        return done

    def _begin_or_go_on(self, wait: "_Wait", call: RetryCallState) -> None:
        assert call.outcome is not None
        error = call.outcome.exception()
        others = self._waits - {wait}
        self._waits.add(wait)
        # A database that is locked is met by two threads, and said once.
        if not any(other.said == str(error) for other in others):
            wait.say(error)


def wait_before_retry(retry_s: float, failures: int) -> float:
    """Return seconds until what failed so often is tried again: longer each time, and not the same for all."""
    usual: float = min(retry_s * 2**failures, LONGEST_WAIT.total_seconds())
    return usual * random.uniform(0.5, 1)  # noqa: S311 - no secret


class _Wait:
    """One thing that is waited for, and what was said of it."""

    def __init__(self, note: Callable[[str | None], None]) -> None:
        self._note = note
        #: What the log has of it.
        self.said: str | None = None
        self._said_at = 0.0
        self._noted = False

    def say(self, error: BaseException | None) -> None:
        """Say what is waited for, in the log once in a while."""
        moment = time.monotonic()
        if self.said is None or moment - self._said_at >= _SAID_AGAIN_S:
            self.said, self._said_at = str(error), moment
            log.error("%s; the worker waits and tries again", error, extra=event(Event.WAIT_BEGUN))
        # A database that takes nothing does not take this either, and would be waited for twice.
        if not self._noted and not isinstance(error, DatabaseError):
            self._noted = True
            self._note(str(error))

    def end(self) -> None:
        """Say that it is over."""
        if self.said is not None:
            log.info("it works again", extra=event(Event.WAIT_OVER))
        if self._noted:
            self._note(None)
