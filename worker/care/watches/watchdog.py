"""Having another process watch this one: a step that holds the interpreter holds every thread that could notice it."""

import subprocess
import sys
from collections.abc import Sequence

from worker.beat import Beat
from worker.events import Event
from worker.log import event, log

#: Seconds beyond the limit of the threads' own watch, which says more of what hangs and comes first where it can.
_GRACE_S = 10.0
#: Seconds between two signs of life.
_INTERVAL_S = 1.0


class Watchdog:
    """A process that kills this one once it has given no sign of life for too long; it ends with this one."""

    def __init__(self, hang_s: float) -> None:
        self._command: Sequence[str] = [
            sys.executable,
            "-P",
            "-m",
            "worker.care.watches.watchdog_process",
            str(hang_s + _GRACE_S),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._beat = Beat("watchdog", _INTERVAL_S, self._give_sign)

    def start(self) -> None:
        """Begin to be watched."""
        self._process = self._begin()
        self._beat.start()

    def stop(self) -> None:
        """Be watched no more."""
        self._beat.stop()
        if self._process is not None:
            self._end(self._process)
            self._process = None

    def _begin(self) -> subprocess.Popen[bytes]:
        # Ctrl+C in a terminal is for the worker; what the process says goes where the worker's log does.
        return subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()

    def _give_sign(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b".")
            self._process.stdin.flush()
        except OSError as error:
            status = self._process.wait()
            log.warning(
                "the process that watches this one ended with status %d (%s); another one takes its place",
                status,
                error,
                extra=event(Event.WATCHDOG_LOST),
            )
            self._process = self._begin()
