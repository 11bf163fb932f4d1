"""What a device can be asked for; each backend is a subclass, in a module of its own."""
# ruff: noqa: B027 - a backend need not write what it does not have

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Device(ABC):
    """A device and the dtype that weights are kept in on it.

    What a backend does not have, such as counters of memory, it need not write: the methods here say so.
    """

    #: As torch and the settings call the backend; the device's name begins with it.
    kind: ClassVar[str]
    #: The dtype of weights where the settings name none.
    usual_dtype: ClassVar[torch.dtype]

    #: Whether what the driver holds is the machine's own memory, as on Apple's chips, or the device's.
    shares_memory: ClassVar[bool] = True

    #: Whether it computes in float16 at all; else each product goes through float32 and back.
    computes_in_float16: ClassVar[bool] = True

    #: Whether kernels are compiled, or looked for, anew for another number of pictures a call.
    compiles_each_size: ClassVar[bool] = True

    #: As torch selects it, so that each device has one name: mps, cuda:0, cpu.
    name: str
    dtype: torch.dtype

    @classmethod
    @abstractmethod
    def absence(cls) -> str | None:
        """Return why there is no such device on this machine, None if there is one."""

    @classmethod
    def full_name(cls, name: str) -> str | None:
        """Return the one name of the device that the settings call `name`, None if there are not so many."""
        return name

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all such devices of this machine, where there are any."""
        return [cls.kind]

    @property
    def torch(self) -> torch.device:
        """The device as torch takes it."""
        return torch.device(self.name)

    @property
    def dtype_name(self) -> str:
        """The dtype's name as settings and rows have it."""
        return str(self.dtype).removeprefix("torch.")

    def identity(self) -> str:
        """Return what tells the device from all others of this machine, whatever variables are set: its lock's name."""
        return self.name

    @abstractmethod
    def describe(self) -> str:
        """Return the driver's or system's name of the device."""

    def driver(self) -> str | None:
        """Return what comes between torch and the device, and its version."""
        return None

    def select(self) -> None:
        """Make this the calling thread's device, where there can be several.

        Raises:
            DeviceError: if the driver does not let it be used.
        """

    def read(self, values: Tensor) -> Any:
        """Bring values of the device into the machine's memory, as an array of numpy."""
        return values.cpu().numpy()

    def synchronize(self) -> None:
        """Wait until everything given to the device is done: read no clock before."""

    def empty_cache(self) -> None:
        """Give cached blocks back to the driver."""

    def allocated_bytes(self) -> int | None:
        """Memory in live tensors; None where the device has no counter."""
        return None

    def driver_bytes(self) -> int | None:
        """Memory that the driver or torch's allocator holds, cached blocks included; None without a counter."""
        return None

    def recommended_bytes(self) -> int | None:
        """Memory that the device's maker recommends to hold at most; None where there is no such word."""
        return None

    def reset_peaks(self) -> None:
        """Begin a new peak measurement, where the device keeps one."""

    def peak_bytes(self) -> tuple[int | None, int | None]:
        """Highest allocated and driver-held memory since `reset_peaks`, as the device itself counts it."""
        return None, None

    def counters(self) -> dict[str, str]:
        """Return which calls `device_allocated` and `device_driver` come from, where there are such counters."""
        return {}
