"""The time of day, and a clock for spans that begin in one process and end in another.

People set the time of day, and the network does. The other clock nobody can set, and it goes on in sleep; it counts
from the start of the machine, so a reading of it means something beside others of the same start alone.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

#: clock_gettime(2) of Linux: BOOTTIME is MONOTONIC with the time asleep. clock_gettime(3) of macOS: MONOTONIC_RAW goes
#: on in sleep, and nothing adjusts it.
#: The second of each stands still in sleep.
if sys.platform == "darwin":
    _CLOCK, _CLOCK_AWAKE = time.CLOCK_MONOTONIC_RAW, time.CLOCK_UPTIME_RAW
else:
    _CLOCK, _CLOCK_AWAKE = time.CLOCK_BOOTTIME, time.CLOCK_MONOTONIC
#: The two are read one after the other, and the network adjusts one of Linux's: nobody sleeps for less than this.
_SHORTEST_SLEEP_S = 1.0
_LINUX_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Instant:
    """A reading, in seconds, and the name of the clock that it is of; None where the system names no start."""

    s: float | None
    clock: str | None

    def since(self, earlier: "Instant") -> float | None:
        """Return the seconds between the two, None where they are not of one clock."""
        if self.s is None or earlier.s is None or self.clock is None or self.clock != earlier.clock:
            return None
        return self.s - earlier.s


def instant() -> Instant:
    """Read the clock."""
    return Instant(time.clock_gettime(_CLOCK), clock_name())


class Sleep:
    """Tells a machine that slept from one that was slow."""

    def __init__(self) -> None:
        self._asleep_s = _asleep_s()

    def since_last(self) -> float:
        """Return for how many seconds the machine slept since this was asked for last, or since the making."""
        asleep_s = _asleep_s()
        slept_s, self._asleep_s = asleep_s - self._asleep_s, asleep_s
        return slept_s if slept_s >= _SHORTEST_SLEEP_S else 0.0


def _asleep_s() -> float:
    """Return the seconds that the machine has slept since its start."""
    return time.clock_gettime(_CLOCK) - time.clock_gettime(_CLOCK_AWAKE)


@cache
def clock_name() -> str | None:
    """Return the name of the machine's present start, the same in all of its processes: 12 hexadecimal digits."""
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    else:
        said = _LINUX_BOOT_ID.read_text() if _LINUX_BOOT_ID.exists() else ""
    return said.strip().replace("-", "").lower()[:12] or None


def now() -> datetime:
    """The present moment, for storage; durations use the monotonic clock."""
    return datetime.now(UTC)


def seconds_since(moment: datetime, earlier: Instant) -> float | None:
    """Return the seconds since a moment that was read from both clocks; None where they contradict what can be.

    What the time of day says is taken where the other clock cannot tell, which is after another start of the machine.
    """
    exact = instant().since(earlier)
    if exact is not None:
        return exact
    told = (now() - moment).total_seconds()
    return told if told >= 0 else None
