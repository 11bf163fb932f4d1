"""Apple's GPUs, through Metal."""

import platform

import torch

from worker.engine.devices.device import Device


class Mps(Device):
    """The GPU of an Apple chip; its memory is the machine's own."""

    kind = "mps"
    usual_dtype = torch.float16

    @classmethod
    def absence(cls) -> str | None:
        """Return what macOS, chip or torch lack."""
        if torch.backends.mps.is_available():
            return None
        if not torch.backends.mps.is_built():
            return "this torch is built without MPS, which only macOS on Apple silicon has"
        return "MPS wants macOS 14 or later on Apple silicon"

    def describe(self) -> str:
        """Return the name that Metal has for the GPU, which is the chip's, and how many cores it has."""
        return f"{torch.backends.mps.get_name()} GPU, {torch.backends.mps.get_core_count()} cores (Metal)"

    def driver(self) -> str | None:
        """Return the system's version, which Metal comes with."""
        return f"macOS {platform.mac_ver()[0]}"

    def select(self) -> None:
        """Have an allocation that would pass the recommended maximum free cached blocks first, and fail if it must.

        Without that torch takes 1.7 times as much, and the machine swaps before anything fails.
        """
        torch.mps.set_per_process_memory_fraction(1.0)

    def synchronize(self) -> None:
        """Wait until everything given to Metal is done."""
        torch.mps.synchronize()

    def empty_cache(self) -> None:
        """Give cached blocks back to Metal."""
        torch.mps.empty_cache()

    def allocated_bytes(self) -> int | None:
        """Memory in live tensors."""
        return torch.mps.current_allocated_memory()

    def driver_bytes(self) -> int | None:
        """Memory that Metal holds for the process."""
        return torch.mps.driver_allocated_memory()

    def recommended_bytes(self) -> int | None:
        """Metal's recommended working set."""
        return torch.mps.recommended_max_memory()

    def reset_peaks(self) -> None:
        """Begin a new peak measurement."""
        torch.accelerator.reset_peak_memory_stats()

    def peak_bytes(self) -> tuple[int | None, int | None]:
        """Return the allocator's own peaks, which Metal's allocator keeps as CUDA's does (torch 2.13)."""
        return torch.accelerator.max_memory_allocated(), torch.accelerator.max_memory_reserved()

    def counters(self) -> dict[str, str]:
        """Return the two calls above."""
        return {
            "device_allocated": "torch.mps.current_allocated_memory",
            "device_driver": "torch.mps.driver_allocated_memory",
        }
