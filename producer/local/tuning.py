"""Having a process of its own find out how many pictures a call are fastest, so that torch is imported there."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

from models.call_sizes import SIZES
from models.types.errors import DeviceError
from models.types.job import JobSpec

TUNE = "worker.tune"


def tuned_calls(spec: JobSpec, program: str = TUNE) -> Iterator[int]:
    """Yield how many pictures each call made, until it is known; a size that ends the process is left out from then on.

    Raises:
        DeviceError: if the pictures cannot be made, with the reason.
    """
    for _ in SIZES:
        command = [sys.executable, "-m", program, spec.model_dump_json()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    said = json.loads(line)
                    if "error" in said:
                        raise DeviceError(f"not tuned: {said['error']}")
                    yield int(said["pictures_a_call"])
            except BaseException:
                # Ctrl+C, too.
                process.terminate()
                raise
        if process.returncode == 0:
            return
        if process.returncode > 0:
            what = f"the process ended with status {process.returncode}"
            raise DeviceError(f"not tuned: {what}; `producer doctor` says more")
    raise DeviceError(f"not tuned: the device's driver ended the process ({signal.Signals(-process.returncode).name})")
