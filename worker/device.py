"""The device that pictures are made on: choosing it, waiting for it, its memory counters, its name."""

import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch

from models.errors import DeviceError

#: Best first.
ORDER = ("mps", "cuda", "cpu")
_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True)
class Device:
    """A device and the dtype that weights are kept in on it."""

    #: As torch selects it, so that each device has one name: mps, cuda:0, cpu.
    name: str
    dtype: torch.dtype

    @property
    def torch(self) -> torch.device:
        """The device as torch takes it."""
        return torch.device(self.name)

    @property
    def _backend(self) -> ModuleType | None:
        return {"mps": torch.mps, "cuda": torch.cuda}.get(self.torch.type)

    @property
    def dtype_name(self) -> str:
        """The dtype's name as settings and rows have it."""
        return str(self.dtype).removeprefix("torch.")

    def select(self) -> None:
        """Make this the calling thread's device, where there can be several.

        Raises:
            DeviceError: if the driver does not let it be used.
        """
        if self.torch.type != "cuda":
            return
        try:
            torch.cuda.set_device(self.torch)
        except (RuntimeError, AssertionError, AttributeError) as error:
            said = str(error).splitlines()[0]
            raise DeviceError(f"{self.name} cannot be used: {said}. See what `nvidia-smi` says of it") from error

    def synchronize(self) -> None:
        """Wait until everything given to the device is done: read no clock before."""
        if self._backend is not None:
            self._backend.synchronize()

    def empty_cache(self) -> None:
        """Give cached blocks back to the driver."""
        if self._backend is not None:
            self._backend.empty_cache()

    def allocated_bytes(self) -> int | None:
        """Memory in live tensors; None where the device has no counter."""
        match self.torch.type:
            case "mps":
                return torch.mps.current_allocated_memory()
            case "cuda":
                return torch.cuda.memory_allocated(self.torch)
        return None

    def driver_bytes(self) -> int | None:
        """Memory that the driver or torch's allocator holds, cached blocks included."""
        match self.torch.type:
            case "mps":
                return torch.mps.driver_allocated_memory()
            case "cuda":
                return torch.cuda.memory_reserved(self.torch)
        return None

    def reset_peaks(self) -> None:
        """Begin a new peak measurement, where the device keeps one."""
        if self.torch.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.torch)

    def peak_bytes(self) -> tuple[int | None, int | None]:
        """Highest allocated and driver-held memory since `reset_peaks`, as the device itself counts it."""
        if self.torch.type == "cuda":
            return torch.cuda.max_memory_allocated(self.torch), torch.cuda.max_memory_reserved(self.torch)
        return None, None

    def memory_sources(self) -> dict[str, str]:
        """Return which call each kind of memory figure comes from."""
        sources = {"rss": "psutil rss", "available": "psutil available", "swap": "psutil swap used"}
        match self.torch.type:
            case "mps":
                sources["device_allocated"] = "torch.mps.current_allocated_memory"
                sources["device_driver"] = "torch.mps.driver_allocated_memory"
            case "cuda":
                sources["device_allocated"] = "torch.cuda.memory_allocated"
                sources["device_driver"] = "torch.cuda.memory_reserved"
        return sources

    def describe(self) -> str:
        """Return the driver's or system's name of the device."""
        match self.torch.type:
            case "mps":
                return f"{chip()} GPU (Metal)"
            case "cuda":
                return torch.cuda.get_device_name(self.torch)
        return chip()


def available_devices() -> list[str]:
    """Return the devices of this machine, best first."""
    there = {"mps": torch.backends.mps.is_available(), "cuda": torch.cuda.is_available(), "cpu": True}
    return [name for name in ORDER if there[name]]


def choose_device(name: str, dtype: str) -> Device:
    """Return the device that the settings ask for; `auto` takes the best there is, and its usual dtype.

    Raises:
        DeviceError: if a device is asked for that is not there; another is never taken in its place.
    """
    there = available_devices()
    kind, _, index = name.partition(":")
    if name == "auto":
        name = kind = there[0]
    elif kind not in there or (index and int(index) >= torch.cuda.device_count()):
        raise DeviceError(
            f"NIGHTSHIFT_DEVICE={name}: there is no such device here ({_why_not(kind)}); there is "
            f"{', '.join(there)}. Set one of them, or auto"
        )
    if kind == "cuda" and not index:
        # torch.cuda.set_device takes no device without an index; and `cuda` beside `cuda:0` would be two locks for one.
        name = "cuda:0"
    if dtype == "auto":
        dtype = "float32" if kind == "cpu" else "float16"
    return Device(name, _DTYPES[dtype])


def _why_not(kind: str) -> str:
    if kind == "mps":
        if not torch.backends.mps.is_built():
            return "this torch is built without MPS, which only macOS on Apple silicon has"
        return "MPS wants macOS 14 or later on Apple silicon"
    if not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        return "this torch is built without CUDA"
    return f"torch sees {torch.cuda.device_count()} CUDA devices"


def chip() -> str:
    """Return the processor's name, such as `Apple M2 Max`."""
    if platform.system() == "Darwin":
        answer = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
        return answer.stdout.strip() or platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in _lines(cpuinfo) if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _lines(file: Path) -> list[str]:
    return file.read_text(errors="replace").splitlines() if file.exists() else []
