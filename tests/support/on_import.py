"""For what goes into a worker process by its PYTHONPATH: changing modules of the product as they are imported."""

import importlib.machinery
import sys
from collections.abc import Callable, Mapping
from typing import Any


def patch_on_import(patches: Mapping[str, Callable[[Any], object]]) -> None:
    """Have each module named in `patches` handed to its function once it is loaded, and before anybody uses it."""

    class Finder(importlib.machinery.PathFinder):
        @classmethod
        def find_spec(cls, fullname, path=None, target=None):
            spec = super().find_spec(fullname, path, target) if fullname in patches else None
            if spec is not None:
                run = spec.loader.exec_module

                def exec_module(module):
                    run(module)
                    patches[fullname](module)

                spec.loader.exec_module = exec_module  # type: ignore[method-assign]
            return spec

    sys.meta_path.insert(0, Finder)
