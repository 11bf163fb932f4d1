"""What Redis has handed to this worker."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery.worker.request import logger


class Delivery:
    """A message in hand, which is acknowledged or rejected once, whoever comes first."""

    def __init__(
        self, ack: Callable[..., None], reject: Callable[..., None], connection_errors: tuple[type[BaseException], ...]
    ) -> None:
        """Take over Celery's own ways to do so."""
        self._ack = ack
        self._reject = reject
        self._connection_errors = connection_errors
        self._open = True
        self._lock = threading.Lock()

    def acknowledge(self) -> None:
        """Acknowledge it as Celery does, so that Redis hands out the next one."""
        self.ack(logger, self._connection_errors)

    def ack(self, *details: Any) -> None:
        """Do as Celery's `on_ack`."""
        if self._close():
            self._ack(*details)

    def reject(self, *details: Any) -> None:
        """Do as Celery's `on_reject`."""
        if self._close():
            self._reject(*details)

    def _close(self) -> bool:
        with self._lock:
            was_open, self._open = self._open, False
            return was_open


class Deliveries:
    """Counted by the thread that works on them, looked at by others."""

    def __init__(self) -> None:
        #: How many there were.
        self.count = 0
        #: Whether one is being worked on.
        self.busy = False
        #: How many messages are on each queue for jobs that were claimed with another one's.
        self.spent = Counter[str]()
        self._in_hand: dict[str, Delivery] = {}
        #: The one that is worked on, and the same until a job is claimed for it.
        self._worked_on: str | None = None
        self._unused: str | None = None

    def has(self, tag: str) -> bool:
        """Tell whether a message is here."""
        return tag in self._in_hand or tag == self._worked_on

    def holds(self, tag: str) -> bool:
        """Tell whether a message is here, and a job is yet to be made for it: this one now, or after another."""
        return self.busy and (tag in self._in_hand or tag == self._unused)

    def arrived(self, tag: str, delivery: Delivery) -> None:
        """Note one that is yet to be worked on."""
        self._in_hand[tag] = delivery

    @contextmanager
    def taking(self, tag: str) -> Iterator[Delivery]:
        """Count one, which is worked on until the block ends."""
        self.count += 1
        self._worked_on = self._unused = tag
        self.busy = True
        try:
            yield self._in_hand.pop(tag)
        finally:
            self.busy = False
            self._worked_on = self._unused = None

    def use(self, jobs: int, queue: str) -> None:
        """Note that so many jobs of a queue were claimed for the one that is worked on."""
        self._unused = None
        self.spent[queue] += jobs - 1

    def is_spent(self, queue: str) -> bool:
        """Tell whether the one that is worked on is worth no job; as many are as jobs were claimed without theirs."""
        if not self.spent[queue]:
            return False
        self.spent[queue] -= 1
        return True
