"""Goes into a worker process by its PYTHONPATH: a device called mps that computes on the CPU and counts memory."""

from on_import import patch_on_import

#: What its counters say: in live tensors, and held by the driver.
ALLOCATED, HELD = 111, 222


def add_to(registry):
    import torch

    from worker.devices.cpu import Cpu

    class StandIn(Cpu):
        kind = "mps"

        @property
        def torch(self):
            return torch.device("cpu")

        def describe(self):
            return "a stand-in"

        def allocated_bytes(self):
            return ALLOCATED

        def driver_bytes(self):
            return HELD

        def counters(self):
            return {"device_allocated": "its own", "device_driver": "its driver's"}

    registry.BACKENDS = (StandIn, Cpu)


patch_on_import({"worker.devices.registry": add_to})
