"""Asking a child process about the device, so that torch is imported there and not here."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.settings import PREFIX
from models.training.config import TrainingConfig
from models.training.trial import Trial
from models.types.errors import DeviceError
from producer.local.child_process import child_process

#: The program that makes pictures on the device.
DEVICE_CHECK = "worker.standalone.device_check"
#: The program that takes steps of a training.
TRIAL = "worker.standalone.training_trial"
_PATIENCE_S = 120
#: For two loads, of which one may be from a slow disk, and two pictures, of which one is made by a CPU.
_PATIENCE_WITH_PICTURES_S = 1_800


def probe_device() -> dict[str, Any]:
    """Return what `worker.standalone.probe` prints.

    Raises:
        DeviceError: if the child cannot answer, for instance because torch is broken; with its last line.
    """
    return _ask("worker.standalone.probe", _PATIENCE_S, {})


def check_device(checkpoint: str, program: str = DEVICE_CHECK) -> dict[str, Any]:
    """Return what the module `program` prints of pictures made with the checkpoint.

    Raises:
        DeviceError: as `probe_device` does.
    """
    return _ask(program, _PATIENCE_WITH_PICTURES_S, {f"{PREFIX}CHECKPOINT": checkpoint})


def try_training(config: TrainingConfig, folder: Path, did: Callable[[str], None], program: str = TRIAL) -> Trial:
    """Return what the module `program` measures of a training on the pictures of a folder.

    It takes minutes where pictures are large and the device is a CPU, so `did` is told of each thing that is done.

    Raises:
        DeviceError: if there is no measurement, with the reason.
    """
    found: dict[str, Any] = {}
    with tempfile.TemporaryFile("w+") as complaints:
        with child_process(program, config.model_dump_json(), str(folder), complaints=complaints) as child:
            assert child.stdout is not None
            for line in child.stdout:
                found = json.loads(line)
                if "did" in found:
                    did(found["did"])
        complaints.seek(0)
        _require_success(child.returncode, complaints.read())
    if "error" in found:
        raise DeviceError(found["error"])
    return Trial(**found)


def _ask(module: str, patience_s: float, variables: dict[str, str]) -> dict[str, Any]:
    try:
        child = subprocess.run(
            [sys.executable, "-m", module],
            capture_output=True,
            text=True,
            timeout=patience_s,
            check=False,
            env=os.environ | variables,
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(f"the device did not answer within {patience_s} s: restart the machine's driver") from None
    _require_success(child.returncode, child.stderr)
    answer: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return answer


def _require_success(status: int, complaints: str) -> None:
    if status < 0:
        ended = signal.Signals(-status).name
        raise DeviceError(f"the device's driver ended the process ({ended}): update the system or the driver")
    if status != 0:
        said = complaints.strip().splitlines() or [f"exit status {status}"]
        raise DeviceError(f"the worker's libraries cannot be used: {said[-1]}. Install again: rm -r .venv; make test")
