"""What macOS alone says of a process and of the machine's memory, by calls that neither Python nor psutil has."""

import ctypes
import functools
import os
from typing import Any

#: <sys/resource.h> of macOS: the flavour of `proc_pid_rusage` that knows the highest footprint, and its structure: 16
#: bytes of UUID, then numbers of 64 bits, of which these are the places.
_RUSAGE_INFO_V4, _NUMBERS = 4, 35
_PHYS_FOOTPRINT, _LIFETIME_MAX_PHYS_FOOTPRINT = 7, 28


class _RusageInfo(ctypes.Structure):
    _fields_ = (("uuid", ctypes.c_uint8 * 16), ("numbers", ctypes.c_uint64 * _NUMBERS))


def footprints() -> tuple[int, int]:
    """Return this process's physical footprint, and its highest so far, in bytes.

    That is what Activity Monitor shows. Resident memory leaves out what macOS compressed, and the GPU's private pages.

    Raises:
        OSError: if the system refuses to say.
    """
    info = _RusageInfo()
    if _system().proc_pid_rusage(os.getpid(), _RUSAGE_INFO_V4, ctypes.byref(info)) != 0:
        raise OSError(ctypes.get_errno(), "proc_pid_rusage does not answer")
    return info.numbers[_PHYS_FOOTPRINT], info.numbers[_LIFETIME_MAX_PHYS_FOOTPRINT]


def memory_pressure() -> int | None:
    """Return 1 where memory is at ease, 2 where macOS warns of its lack, 4 where that is critical; None if unknown."""
    level, length = ctypes.c_int(), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    name = b"kern.memorystatus_vm_pressure_level"
    failed = _system().sysctlbyname(name, ctypes.byref(level), ctypes.byref(length), None, ctypes.c_size_t(0))
    return None if failed else level.value


@functools.cache
def _system() -> Any:
    return ctypes.CDLL("/usr/lib/libSystem.dylib", use_errno=True)
