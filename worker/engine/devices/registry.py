"""All devices there can be, and the choice among those of this machine."""

from collections.abc import Sequence

import torch

from models.types.errors import DeviceError
from worker.engine.devices.cpu import Cpu
from worker.engine.devices.cuda import Cuda
from worker.engine.devices.device import Device
from worker.engine.devices.mps import Mps

#: Best first; the settings' pattern of `device` names the same kinds.
BACKENDS: tuple[type[Device], ...] = (Mps, Cuda, Cpu)
_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def available_devices() -> list[str]:
    """Return the kinds of devices of this machine, best first."""
    return [backend.kind for backend in _available(BACKENDS)]


def every_device() -> list[str]:
    """Return the names of all devices of the best kind that this machine has."""
    return _available(BACKENDS)[0].names()


def choose_device(name: str, dtype: str, backends: Sequence[type[Device]] = BACKENDS) -> Device:
    """Return the device that the settings ask for; `auto` takes the best there is, and its usual dtype.

    Raises:
        DeviceError: if a device is asked for that is not there; another is never taken in its place.
    """
    if name == "auto":
        backend, full_name = _available(backends)[0], None
        full_name = backend.full_name(backend.kind)
    else:
        (backend,) = (each for each in backends if each.kind == name.partition(":")[0])
        full_name = None if backend.absence() else backend.full_name(name)
    if full_name is None:
        why = backend.absence() or "its number is too high"
        raise DeviceError(
            f"NIGHTSHIFT_DEVICE={name}: there is no such device here ({why}); there is "
            f"{', '.join(available_devices())}. Set one of them, or auto"
        )
    return backend(full_name, backend.usual_dtype if dtype == "auto" else _DTYPES[dtype])


def _available(backends: Sequence[type[Device]]) -> list[type[Device]]:
    return [backend for backend in backends if backend.absence() is None]
