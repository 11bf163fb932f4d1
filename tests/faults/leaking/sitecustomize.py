"""Goes into a worker process by its PYTHONPATH: each generation leaks LEAK_BYTES, which nothing gives back."""

import os

from on_import import patch_on_import

LEAKED = []


def leak(module):
    generate = module.generate

    def leaking(*arguments):
        # Zeros would be mapped and never resident.
        LEAKED.append(b"\1" * int(os.environ["LEAK_BYTES"]))
        return generate(*arguments)

    module.generate = leaking


patch_on_import({"worker.generation": leak})
