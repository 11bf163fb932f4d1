"""Goes into a worker process by its PYTHONPATH: a device called mps that computes on the CPU and counts memory."""

import importlib.machinery
import sys

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


class Finder(importlib.machinery.PathFinder):
    """Lets the module load as usual and adds the device before anybody looks for one."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        spec = super().find_spec(fullname, path, target) if fullname == "worker.devices.registry" else None
        if spec is not None:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                add_to(module)

            spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder)
