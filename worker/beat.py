"""Doing something again and again beside the device's thread, once an interval."""

import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from models.errors import BrokerError, DatabaseError
from worker.events import Event
from worker.log import event, log


class Beat:
    """Calls `action` once an interval from a thread of its own, from `start` to `stop`, or while its block runs."""

    def __init__(self, name: str, interval_s: float, action: Callable[[], None]) -> None:
        self._interval_s = interval_s
        self._action = action
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._go, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the first call comes after one interval."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further call; returns when the present one is over."""
        self._done.set()
        self._thread.join()

    def __enter__(self) -> None:
        self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _go(self) -> None:
        while not self._done.wait(self._interval_s):
            try:
                self._action()
            except BaseException:  # noqa: BLE001 - without this thread a job goes to another worker while it runs
                log.exception("a beat failed, and the next one follows", extra=event(Event.BEAT_FAILED))


class Rounds:
    """What a worker looks after beside its jobs: each duty in turn; none of them keeps the others from being done."""

    def __init__(self, duties: Sequence[Callable[[], None]], interval_s: float) -> None:
        self._duties = duties
        self._beat = Beat("rounds", interval_s, self._go_round)

    def start(self) -> None:
        """Begin."""
        self._beat.start()

    def stop(self) -> None:
        """Begin no further round; returns when the present one is over."""
        self._beat.stop()

    def _go_round(self) -> None:
        for duty in self._duties:
            self._do(duty)

    def _do(self, duty: Callable[[], None]) -> None:
        try:
            duty()
        except (DatabaseError, BrokerError, OperationalError, RedisError, OSError) as error:
            # What could not be looked at now can be in a moment; the worker's own connection tells of it too.
            log.debug("not looked after now: %s", error)
        except BaseException:  # noqa: BLE001 - whatever it is, the log has it
            # Without this thread nothing that is lost comes back, so nothing may end it.
            log.exception("a round failed, and the next one follows", extra=event(Event.ROUND_FAILED))
