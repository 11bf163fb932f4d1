"""What `producer tune` has a process of its own do: find out how pictures are made in the least time.

Prints a JSON object for each call, and one with `error` where it cannot go on.
"""

import sys
from collections.abc import Callable

from models.settings import Settings, load_settings
from models.types.errors import NightshiftError
from worker.log import configure_logging, quiet_libraries

quiet_libraries(load_settings())

from worker.engine.processors import Processors, set_waiting  # noqa: E402

# As a worker, which is as fast with another number of threads as these are with theirs.
_PROCESSORS = Processors() if set_waiting() else None

from models.tuning import USUAL, Candidate  # noqa: E402
from models.types.identity import Weights  # noqa: E402
from models.types.job import JobSpec  # noqa: E402
from worker.engine.allocator import keep_memory  # noqa: E402
from worker.engine.devices.device import Device  # noqa: E402
from worker.engine.engine import Engine  # noqa: E402
from worker.standalone.answering import answer, only_answers  # noqa: E402
from worker.standalone.held_device import held_device  # noqa: E402


def tune(spec: JobSpec, settings: Settings, make_engine: Callable[[Device, Settings], Engine]) -> None:
    """Make pictures like that of `spec` until it is known, and throw them away.

    Raises:
        NightshiftError: if they cannot be made, or a worker has the device.
    """
    with held_device(settings, _PROCESSORS) as device:
        engine = make_engine(device, settings)
        engine.use(Weights.of(spec))
        while not engine.is_tuned(spec):
            # Whatever it costs: a person has asked for it.
            size = engine.most_together(spec, lambda: sys.maxsize)
            specs = [spec.model_copy(update={"seed": spec.seed + place}) for place in range(size)]
            for made in engine.make_together(specs, [lambda _step: None] * size):
                if isinstance(made, BaseException):
                    raise made
                candidate = Candidate(made[1].pictures_a_call or 1, made[1].form or USUAL)
            answer({"made": str(candidate)})


def main(make_engine: Callable[[Device, Settings], Engine] = Engine) -> None:
    """Tune for the job that the argument is, as JSON."""
    keep_memory()
    # Whatever a person has set of it.
    settings = load_settings().model_copy(update={"pictures_a_call": 0, "tuning": True, "log_level": "ERROR"})
    configure_logging(settings)
    try:
        with only_answers():
            tune(JobSpec.model_validate_json(sys.argv[1]), settings, make_engine)
    except (NightshiftError, RuntimeError) as error:
        answer({"error": str(error)})


if __name__ == "__main__":
    main()
