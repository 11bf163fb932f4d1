"""How soon a process that ended is started again: after a pause that grows, and not for ever."""

import time

#: Seconds of the first pause and of the longest; each pause is twice the one before it.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
#: Ends before it was ready, in a row, after which it is not started again.
MOST_FAILED_STARTS = 3


class Restarts:
    """Keeps count for one process; tell it of each start and each end."""

    def __init__(self) -> None:
        self._failed_starts = 0
        self._pause_s = FIRST_PAUSE_S
        self._started = time.monotonic()
        self._next: float | None = None

    @property
    def left_s(self) -> float | None:
        """Seconds until it is to be started again, 0 if that is now; None while it runs."""
        return None if self._next is None else max(0.0, self._next - time.monotonic())

    def started(self) -> None:
        """Note that it was started."""
        self._started, self._next = time.monotonic(), None

    def ended(self, *, ready: bool) -> bool:
        """Note that it ended, after it was `ready` for its work or before; return whether to start it again."""
        if time.monotonic() - self._started > LONGEST_PAUSE_S:
            # What worked for longer than any pause ended for a reason of its own, not for the last one's.
            self._pause_s = FIRST_PAUSE_S
        self._failed_starts = 0 if ready else self._failed_starts + 1
        self._next = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return self._failed_starts < MOST_FAILED_STARTS
