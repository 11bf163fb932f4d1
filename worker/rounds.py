"""What a worker looks after beside its jobs, once a heartbeat, in a thread of its own."""

import threading
from collections.abc import Callable, Sequence

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from models.errors import BrokerError, DatabaseError
from worker.log import log


class Rounds:
    """Does each duty once an interval until it is stopped; none of them keeps the others from being done."""

    def __init__(self, duties: Sequence[Callable[[], None]], interval_s: float) -> None:
        self._duties = duties
        self._interval_s = interval_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._go, name="rounds", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further round; returns when the present one is over."""
        self._done.set()
        self._thread.join()

    def _go(self) -> None:
        while not self._done.wait(self._interval_s):
            for duty in self._duties:
                self._do(duty)

    def _do(self, duty: Callable[[], None]) -> None:
        try:
            duty()
        except (DatabaseError, BrokerError, OperationalError, RedisError, OSError) as error:
            # What could not be looked at now can be in a moment; the worker's own connection tells of it too.
            log.debug("not looked after now: %s", error)
        except Exception:  # noqa: BLE001 - whatever it is, the log has it
            # Without this thread nothing that is lost comes back, so nothing may end it.
            log.exception("a round failed, and the next one follows")
