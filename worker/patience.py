"""Waiting for what a person or another program mends: a full disk, a locked or read-only database."""

import logging
from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential_jitter,
)

from models.boots import note_waiting
from models.database import Database
from models.errors import DatabaseError, StorageError
from worker.log import log
from worker.shutdown import Shutdown

_FIRST_S, _LONGEST_S = 0.5, 30.0
_Value = TypeVar("_Value")


class Patience:
    """Does what failed again, ever less often, until it works or the worker is told to end."""

    def __init__(self, database: Database, boot_id: int, shutdown: Shutdown) -> None:
        self._database = database
        self._boot_id = boot_id
        self._shutdown = shutdown

    def until_done(self, action: Callable[[], _Value], wait: Callable[[float], None] | None = None) -> _Value:
        """Return what `action` returns, however often it has to be called; `wait` waits so many seconds.

        Raises:
            DatabaseError, StorageError: what `action` raised last when the worker was told to end.
        """
        retrying = Retrying(
            retry=retry_if_exception_type((DatabaseError, StorageError)),
            wait=wait_exponential_jitter(_FIRST_S, _LONGEST_S),
            stop=stop_when_event_set(self._shutdown.asked),
            sleep=wait or sleep_using_event(self._shutdown.asked),
            before_sleep=self._say,
            reraise=True,
        )
        done = retrying(action)
        if retrying.statistics["attempt_number"] > 1:
            log.info("it works again")
            self._note(None)
        return done

    def _say(self, call: RetryCallState) -> None:
        if call.attempt_number > 1:
            before_sleep_log(log, logging.DEBUG)(call)
            return
        assert call.outcome is not None
        error = call.outcome.exception()
        log.error("%s; the worker waits and tries again", error)
        self._note(str(error))

    def _note(self, what: str | None) -> None:
        """Have `producer status` say it, unless it is the database itself that does not work."""
        try:
            with self._database.writing() as session:
                note_waiting(session, self._boot_id, what)
        except DatabaseError as error:
            log.debug("not noted: %s", error)
