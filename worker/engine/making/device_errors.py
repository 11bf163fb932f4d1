"""What an error says that came while the device was at work: out of memory, or that it computes no more."""

import gc
from collections.abc import Callable
from typing import TypeVar

from models.types.causes import Cause
from models.types.errors import GenerationError, NightshiftError
from worker.engine.devices.device import Device
from worker.engine.making.canary import Canary

_Made = TypeVar("_Made")
#: What torch's allocators, Metal and NVIDIA's libraries say when memory runs out. torch.OutOfMemoryError is CUDA's; MPS
#: and the CPU's allocator raise plain RuntimeErrors.
_OUT_OF_MEMORY = (
    "out of memory",
    "outofmemory",
    "can't allocate memory",
    "not enough memory",
    "insufficient memory",
    "invalid buffer size",
    "alloc_failed",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(phrase in said for phrase in _OUT_OF_MEMORY)


def checked(canary: Canary, make: Callable[[], _Made]) -> _Made:
    """Make something; after an error that nobody foresaw look whether the device still computes.

    Raises:
        DeviceFaultError: if it does not, for then the error was no fault of the job's.
    """
    try:
        return make()
    except NightshiftError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            canary.require_computing()
        raise


def memory_explained(device: Device, make: Callable[[], _Made], where_and_remedy: str) -> _Made:
    """Turn what the device says when its memory runs out into a cause of its own.

    Raises:
        GenerationError: out of memory.
    """
    try:
        return make()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    # Not within the handler: the error holds what the failed try had in memory.
    gc.collect()
    device.empty_cache()
    raise GenerationError(
        Cause.OUT_OF_MEMORY, f"out of memory {where_and_remedy}, or NIGHTSHIFT_ATTENTION_SLICING=true"
    )
