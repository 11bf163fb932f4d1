"""What `producer doctor` and `producer download` ask of the device, in a process of its own: prints one JSON object.

A process of its own because torch takes seconds to import and the producer never does.
"""

import json
import os
import platform
from importlib.metadata import version

from models.settings import load_settings
from models.types.errors import NightshiftError
from worker.care.awake import awake_command
from worker.log import quiet_libraries

quiet_libraries(load_settings())

from worker.engine.checkpoints.local_checkpoint import find_checkpoint  # noqa: E402
from worker.engine.devices.chip import chip  # noqa: E402
from worker.engine.devices.registry import available_devices, choose_device, every_device  # noqa: E402
from worker.engine.memory import read_memory  # noqa: E402


def main() -> None:
    """Print what is there; what is wrong stands under `device_error` and `checkpoint_error`."""
    settings = load_settings()
    found: dict[str, object] = {
        "available": available_devices(),
        "devices": every_device(),
        "chip": chip(),
        "awake": awake_command(os.getpid()),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("torch", "diffusers", "transformers", "celery", "kombu")},
    }
    try:
        device = choose_device(settings.device, settings.dtype)
        device.select()
        memory = read_memory(device)
        found |= {
            "device": device.name,
            "device_name": device.describe(),
            "dtype": device.dtype_name,
            "device_allocated_bytes": memory.device_allocated,
        }
    except NightshiftError as error:
        found["device_error"] = str(error)
    try:
        checkpoint = find_checkpoint(settings.checkpoint)
        found |= {"checkpoint_path": str(checkpoint.path), "revision": checkpoint.revision}
    except NightshiftError as error:
        found["checkpoint_error"] = str(error)
    print(json.dumps(found))  # noqa: T201 - this is the answer


if __name__ == "__main__":
    main()
