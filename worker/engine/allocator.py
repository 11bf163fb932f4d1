"""The C library's allocator, told to keep what a picture needs in every step.

A UNet allocates large tensors and frees them in every step, and glibc gives such memory back to the system each time:
it is mapped anew and cleared page by page, 460,000 times a step for the architecture of Stable Diffusion 1.5. Kept, a
step of it takes 0.65 times the time at 128x128, 0.85 times at 256x256, and as long as before at 512x512 (one thread,
seconds of the process, in turn). Threads other than the first have arenas of their own, of 64 MB at most, past which
all is mapped; so there is one arena.
"""

import ctypes
import os
import platform

#: Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
#: Blocks of less than a gigabyte are kept, and up to two gigabytes of what is free.
_SETTINGS = {_M_ARENA_MAX: 1, _M_MMAP_THRESHOLD: 1 << 30, _M_TRIM_THRESHOLD: (1 << 31) - 1}
#: By these a person has said how memory is to be had, or by another library.
_OF_PERSONS = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")


def keep_memory() -> bool:
    """Have this process keep memory, unless a person has set anything of it, and return whether it does.

    Threads that are there already keep their arenas, so call it before there are any.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith(_OF_PERSONS) for name in os.environ):
        return False
    library = ctypes.CDLL(None)
    return all(library.mallopt(setting, value) == 1 for setting, value in _SETTINGS.items())


def give_back_memory() -> None:
    """Give memory that is free back to the system, where that is the allocator's to keep."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
