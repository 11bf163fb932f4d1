"""Has each picture of a worker leak LEAK_BYTES, which nothing gives back."""

import os
from dataclasses import replace

from composing import ComposingLoader

_LEAKED = []


class Loader(ComposingLoader):
    def program(self):
        from worker.engine.engine import Engine
        from worker.program import Program

        class LeakingEngine(Engine):
            def make_together(self, *arguments):
                # Zeros would be mapped and never resident.
                _LEAKED.append(b"\1" * int(os.environ["LEAK_BYTES"]))
                return super().make_together(*arguments)

        class LeakingProgram(Program):
            parts = replace(Program.parts, engine=LeakingEngine)

        return LeakingProgram
