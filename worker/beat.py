"""Doing something again and again beside the device's thread, once an interval."""

import threading
from collections.abc import Callable
from types import TracebackType

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
