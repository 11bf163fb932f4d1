"""The processor: there on every machine, and slow."""

import torch

from worker.engine.devices.chip import chip
from worker.engine.devices.device import Device


class Cpu(Device):
    """The machine's processor; its memory is the process's own."""

    kind = "cpu"
    usual_dtype = torch.float32

    @classmethod
    def absence(cls) -> str | None:
        """Return None: it is always there."""
        return None

    def describe(self) -> str:
        """Return the processor's name."""
        return chip()
