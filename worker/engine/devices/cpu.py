"""The processor: there on every machine, and slow."""

import torch

from worker.engine.allocator import give_back_memory
from worker.engine.devices.chip import chip
from worker.engine.devices.device import Device


class Cpu(Device):
    """The machine's processor; its memory is the process's own."""

    kind = "cpu"
    usual_dtype = torch.float32
    compiles_each_size = False
    # Few do. A convolution there and back took 87 times as long as in float32 on a processor with AVX2, and half as
    # long in bfloat16 (torch 2.13).
    computes_in_float16 = False

    @classmethod
    def absence(cls) -> str | None:
        """Return None: it is always there."""
        return None

    def empty_cache(self) -> None:
        """Give back what the C library keeps."""
        give_back_memory()

    def describe(self) -> str:
        """Return the processor's name."""
        return chip()
