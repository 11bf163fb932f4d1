"""A GPU that this machine does not have, for worker processes: it computes on the CPU, and errs where it is told to.

Its memory is counted as Metal's: what the driver holds grows by the number of bytes in STAND_IN with each picture, and
no step but a new process gives that back.
"""

import os
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from worker.engine.devices.cpu import Cpu

#: What its counter of live tensors says.
ALLOCATED = 111


def device(reach: Callable[[str], str | None], reach_in_job: Callable[[str], str | None]) -> type:
    """Return the class that stands in for Metal's; `reach` and `reach_in_job` say what happens at a place."""

    class StandIn(Cpu):
        kind = "mps"
        leaked: ClassVar[int] = 0

        @property
        def torch(self) -> torch.device:
            return torch.device("cpu")

        def describe(self) -> str:
            return "stand-in GPU"

        def read(self, values: Tensor) -> Any:
            answer = super().read(values)
            if reach("computing") == "stale":
                answer = answer - 1
            return answer

        def synchronize(self) -> None:
            reach_in_job("synchronising")

        def reset_peaks(self) -> None:
            # Once with each picture, before it is made.
            StandIn.leaked += int(os.environ["STAND_IN"])

        def allocated_bytes(self) -> int:
            return ALLOCATED

        def driver_bytes(self) -> int:
            return self.leaked

        def counters(self) -> dict[str, str]:
            return {"device_allocated": "its own", "device_driver": "its driver's"}

    return StandIn
