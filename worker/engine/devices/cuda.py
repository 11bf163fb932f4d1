"""NVIDIA's GPUs, and AMD's under ROCm, which answers to the same name."""

import torch

from models.types.errors import DeviceError
from worker.engine.devices.device import Device


class Cuda(Device):
    """One of the machine's CUDA devices."""

    kind = "cuda"
    usual_dtype = torch.float16
    shares_memory = False

    @classmethod
    def absence(cls) -> str | None:
        """Return what driver or torch lack."""
        if torch.cuda.is_available():
            return None
        if not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
            return "this torch is built without CUDA"
        return f"torch sees {torch.cuda.device_count()} CUDA devices"

    @classmethod
    def full_name(cls, name: str) -> str | None:
        """Return the name with its number: `cuda` beside `cuda:0` would be two locks for one device."""
        number = int(name.partition(":")[2] or 0)
        return f"cuda:{number}" if number < torch.cuda.device_count() else None

    @classmethod
    def names(cls) -> list[str]:
        """Return a name for each that CUDA_VISIBLE_DEVICES leaves."""
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]

    def identity(self) -> str:
        """Return the UUID: with CUDA_VISIBLE_DEVICES set, `cuda:0` is another one in each process."""
        return f"cuda-{torch.cuda.get_device_properties(self.torch).uuid}"

    def describe(self) -> str:
        """Return the driver's name of the device."""
        return torch.cuda.get_device_name(self.torch)

    def driver(self) -> str | None:
        """Return the versions of CUDA that torch is built for and that the driver has."""
        return f"CUDA {torch.version.cuda or torch.version.hip}, driver {torch._C._cuda_getDriverVersion()}"  # type: ignore[attr-defined]

    def select(self) -> None:
        """Make this the calling thread's device.

        Raises:
            DeviceError: if the driver does not let it be used.
        """
        try:
            torch.cuda.set_device(self.torch)
        except (RuntimeError, AssertionError, AttributeError) as error:
            said = str(error).splitlines()[0]
            raise DeviceError(f"{self.name} cannot be used: {said}. See what `nvidia-smi` says of it") from error

    def synchronize(self) -> None:
        """Wait until everything given to the device is done."""
        torch.cuda.synchronize(self.torch)

    def empty_cache(self) -> None:
        """Give cached blocks back to the driver."""
        torch.cuda.empty_cache()

    def allocated_bytes(self) -> int | None:
        """Memory in live tensors."""
        return torch.cuda.memory_allocated(self.torch)

    def driver_bytes(self) -> int | None:
        """Memory that torch's allocator has reserved."""
        return torch.cuda.memory_reserved(self.torch)

    def reset_peaks(self) -> None:
        """Begin a new peak measurement."""
        torch.cuda.reset_peak_memory_stats(self.torch)

    def peak_bytes(self) -> tuple[int | None, int | None]:
        """Return the allocator's own peaks."""
        return torch.cuda.max_memory_allocated(self.torch), torch.cuda.max_memory_reserved(self.torch)

    def counters(self) -> dict[str, str]:
        """Return the two calls above that count what is held now."""
        return {"device_allocated": "torch.cuda.memory_allocated", "device_driver": "torch.cuda.memory_reserved"}
