"""Reading memory, and catching its peak while something runs."""

import resource
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import psutil

from models.types.measurement import MemoryReading, extreme
from worker.beat import Beat
from worker.engine.devices.device import Device
from worker.engine.macos import footprints, memory_pressure

_STATUS = Path("/proc/self/status")
_IS_MACOS = sys.platform == "darwin"
_FOOTPRINT = "proc_pid_rusage, physical footprint"


def read_memory(device: Device) -> MemoryReading:
    """Return this process's, the device's and the machine's memory at this moment; None is what cannot be read now."""
    return MemoryReading(
        rss=_if_readable(lambda: footprints()[0] if _IS_MACOS else psutil.Process().memory_info().rss),
        device_allocated=device.allocated_bytes(),
        device_driver=device.driver_bytes(),
        available=_if_readable(lambda: psutil.virtual_memory().available),
        swap=_if_readable(lambda: psutil.swap_memory().used),
    )


def _if_readable(read: Callable[[], int]) -> int | None:
    # Linux has these figures in files, and there may be no file handle left. No picture is worth less for that.
    try:
        return read()
    except OSError:
        return None


class MemoryWatch:
    """Samples memory from a thread between entering and leaving; the device's own peaks win where it keeps them."""

    before: MemoryReading
    peak: MemoryReading
    after: MemoryReading
    #: What macOS says of the machine's memory at the end: 1 at ease, 2 warned of, 4 critical.
    pressure: int | None

    def __init__(self, device: Device, interval_s: float) -> None:
        self._device = device
        self._beat = Beat("memory-watch", interval_s, self._sample)

    def __enter__(self) -> "MemoryWatch":
        self._device.reset_peaks()
        self.before = read_memory(self._device)
        self._worst = self.before
        self._beat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beat.stop()
        self.after = read_memory(self._device)
        self.pressure = memory_pressure() if _IS_MACOS else None
        allocated, driver = self._device.peak_bytes()
        counted = MemoryReading(device_allocated=allocated, device_driver=driver)
        self.peak = extreme([self._worst, self.after, counted])

    def _sample(self) -> None:
        self._worst = extreme([self._worst, read_memory(self._device)])


def memory_sources(device: Device) -> dict[str, str]:
    """Return which call each kind of memory figure comes from."""
    of_the_machine = {
        "rss": _FOOTPRINT if _IS_MACOS else "psutil rss",
        "available": "psutil available",
        "swap": "psutil swap used",
    }
    return of_the_machine | device.counters() | {"rss_lifetime_peak": _lifetime_peak_source()}


def _lifetime_peak_source() -> str:
    if _IS_MACOS:
        return "proc_pid_rusage, highest physical footprint"
    return "VmHWM of /proc/self/status" if _STATUS.exists() else "getrusage"


def rss_lifetime_peak() -> int | None:
    """Return the highest memory of this process so far, by the operating system's own accounting.

    None is what cannot be read now.
    """
    return _if_readable(_rss_lifetime_peak)


def _rss_lifetime_peak() -> int:
    if _IS_MACOS:
        return footprints()[1]
    # Not of getrusage(2) on Linux: that figure outlives exec(2), so it may be that of whoever started this process.
    for line in _STATUS.read_text().splitlines() if _STATUS.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    # In kibibytes. Linux brings it up to date now and then only, so that it can lie some pages below what the process
    # has this moment.
    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, psutil.Process().memory_info().rss)
