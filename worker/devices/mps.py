"""Apple's GPUs, through Metal."""

import torch

from worker.devices.chip import chip
from worker.devices.device import Device


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
        """Return the chip's name, whose GPU has none of its own."""
        return f"{chip()} GPU (Metal)"

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

    def counters(self) -> dict[str, str]:
        """Return the two calls above."""
        return {
            "device_allocated": "torch.mps.current_allocated_memory",
            "device_driver": "torch.mps.driver_allocated_memory",
        }
