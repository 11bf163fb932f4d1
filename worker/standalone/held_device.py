"""The device as a worker would have it, for a process of `producer`'s own."""

from collections.abc import Iterator
from contextlib import contextmanager

from models.settings import Settings
from worker.care.device_lock import DeviceLock
from worker.engine.devices.device import Device
from worker.engine.devices.registry import choose_device
from worker.engine.processors import Processors
from worker.engine.threads import leave_processors_to_others


@contextmanager
def held_device(settings: Settings, processors: Processors | None) -> Iterator[Device]:
    """Give the device of the settings, which no worker has while the block runs, with a worker's number of threads.

    Raises:
        DeviceError: there is none, or a worker has it.
    """
    device = choose_device(settings.device, settings.dtype)
    if device.kind == "cpu":
        leave_processors_to_others(processors)
    lock = DeviceLock(device, settings.data_dir)
    try:
        yield device
    finally:
        lock.release()
