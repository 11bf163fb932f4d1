"""Having a process of its own find out how pictures are made in the least time, so that torch is imported there."""

import json
import signal
from collections.abc import Iterator

from models.types.errors import DeviceError
from models.types.job import JobSpec
from producer.local.child_process import child_process

TUNE = "worker.standalone.tune"


#: How often the process may end before it is done: each time a candidate is left out, and more than these fail all.
_ENDS = 8


def tuned_calls(spec: JobSpec, program: str = TUNE) -> Iterator[str]:
    """Yield how each call was made, until all is known; what ends the process is left out from then on.

    Raises:
        DeviceError: if the pictures cannot be made, with the reason.
    """
    for _ in range(_ENDS):
        with child_process(program, spec.model_dump_json()) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said = json.loads(line)
                if "error" in said:
                    raise DeviceError(f"not tuned: {said['error']}")
                yield said["made"]
        if process.returncode == 0:
            return
        if process.returncode > 0:
            what = f"the process ended with status {process.returncode}"
            raise DeviceError(f"not tuned: {what}; `producer doctor` says more")
    raise DeviceError(f"not tuned: the device's driver ended the process ({signal.Signals(-process.returncode).name})")
