"""A worker whose device sleeps for as long as a picture takes: CELERY_LOADER=benchmarks.sleeping_worker:Loader.

For what queue and record carry, which no fast device is needed for: all else of it is the product's own.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from celery.loaders.app import AppLoader

#: Seconds of a picture.
VARIABLE = "SECONDS_A_PICTURE"
#: The share of them that comes after the last step.
_DECODING = 0.1


class Loader(AppLoader):
    """Has Celery run such a worker."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        if app.main == "nightshift":
            app.Worker = lambda *arguments, **more: _program(app)(*arguments, **more)


def _program(app: Any) -> Any:
    # First, since it sets what libraries read when they are imported.
    from worker.program import Program  # noqa: I001

    from PIL import Image

    from models.types.job import JobSpec
    from models.types.measurement import Measurement, Timings
    from worker.engine.engine import Engine, Made
    from worker.engine.making.generation import Generation
    from worker.engine.memory import read_memory

    seconds = float(os.environ[VARIABLE])

    class SleepingEngine(Engine):
        def most_together(self, spec: JobSpec, waiting: Callable[[], int]) -> int:
            return 1

        def make_together(
            self, specs: Sequence[JobSpec], on_step: Sequence[Callable[[int], None]]
        ) -> list[Made | BaseException]:
            (spec,), (step,) = specs, on_step
            begun, before = time.perf_counter(), read_memory(self.device)
            time.sleep(seconds * (1 - _DECODING))
            # The message is acknowledged here, and the next one comes while the device decodes.
            step(spec.steps)
            time.sleep(seconds * _DECODING)
            picture = Image.new("RGB", (spec.width, spec.height), (spec.seed % 256, 90, 40))
            timings = Timings(0.0, time.perf_counter() - begun, 0.0, 0.0)
            made = Generation(
                picture, timings, decoded_again=False, prompt_tokens=4, prompt_cut=None, given=spec, pictures_a_call=1
            )
            now = read_memory(self.device)
            measured = Measurement(
                timings=timings, steps_per_s=spec.steps / seconds, pictures_a_call=1, before=before, peak=now, after=now
            )
            return [(made, measured)]

    class SleepingProgram(Program):
        parts = replace(Program.parts, engine=SleepingEngine)

    return app.subclass_with_self(SleepingProgram, name="Worker")
