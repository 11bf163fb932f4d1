"""Goes into a worker process by its PYTHONPATH: each generation leaks LEAK_BYTES, which nothing gives back."""

import importlib.machinery
import os
import sys

LEAKED = []


def leak(module):
    generate = module.generate

    def leaking(*arguments):
        # Zeros would be mapped and never resident.
        LEAKED.append(b"\1" * int(os.environ["LEAK_BYTES"]))
        return generate(*arguments)

    module.generate = leaking


class Finder(importlib.machinery.PathFinder):
    """Lets the module load as usual and patches it before anybody can take names out of it."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        spec = super().find_spec(fullname, path, target) if fullname == "worker.generation" else None
        if spec is not None:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                leak(module)

            spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder)
