"""Asking a child process about the device, so that torch is imported there and not here."""

import json
import subprocess
import sys
from typing import Any

from models.errors import DeviceError

_PATIENCE_S = 120


def probe_device() -> dict[str, Any]:
    """Return what `worker.probe` prints.

    Raises:
        DeviceError: if the child cannot answer, for instance because torch is broken; with its last line.
    """
    try:
        child = subprocess.run(
            [sys.executable, "-m", "worker.probe"], capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(f"the device did not answer within {_PATIENCE_S} s: restart the machine's driver") from None
    if child.returncode != 0:
        said = child.stderr.strip().splitlines() or [f"exit status {child.returncode}"]
        raise DeviceError(f"the worker's libraries cannot be used: {said[-1]}. Install again: rm -r .venv; make test")
    answer: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return answer
