"""What `producer doctor --device` asks, in a process of its own: is what the device makes what the CPU makes?

Prints one JSON object.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from models.settings import Settings, load_settings
from models.types.errors import NightshiftError
from worker.log import quiet_libraries

quiet_libraries(load_settings())

import numpy as np  # noqa: E402
import torch  # noqa: E402

from models.checkpoints import checkpoint_defaults  # noqa: E402
from models.types.identity import Weights  # noqa: E402
from models.types.job import JobSpec  # noqa: E402
from worker.engine.devices.cpu import Cpu  # noqa: E402
from worker.engine.devices.device import Device  # noqa: E402
from worker.engine.devices.registry import BACKENDS, choose_device  # noqa: E402
from worker.engine.engine import Engine  # noqa: E402

#: Few steps, since a difference grows with each of them; a scheduler that adds no noise of its own.
_STEPS, _SCHEDULER = 4, "DDIM"
#: Pixels a side at most, so that a CPU does Stable Diffusion 1.5 in less than a minute.
_LONGEST_SIDE = 256
_LEVELS = 255


def tolerance(dtype: torch.dtype) -> float:
    """Return by how many of 255 levels two pictures may differ on average that were made with this dtype and float32.

    Half a level is what rounding to whole levels may move each pixel by. Rounding to the dtype moves a value of 255 by
    255 u at most, where u is half the distance from 1 to the next number; over all layers and steps that came to 0.3 to
    0.4 times 255 u on a CPU, with the demo, in float16 and bfloat16, and ten times that is allowed, for deeper networks
    and other kernels. In float16 that is 1.0, where the demo's pictures of two seeds differ by 10 to 16.
    """
    return 0.5 + 4 * _LEVELS * torch.finfo(dtype).eps / 2


def compare(device: Device, settings: Settings, make_engine: Callable[[Device, Settings], Engine]) -> dict[str, object]:
    """Make the same small picture on the device and on the CPU in float32; return the difference and all figures.

    Raises:
        NightshiftError: if either cannot be made.
    """
    usual = checkpoint_defaults(settings.checkpoint)
    spec = JobSpec(
        prompt="a photo of a red shoe on white background",
        seed=1,
        steps=_STEPS,
        guidance=usual.guidance,
        width=min(usual.width, _LONGEST_SIDE),
        height=min(usual.height, _LONGEST_SIDE),
        scheduler=_SCHEDULER,
        checkpoint=settings.checkpoint,
    )
    pictures, seconds = [], []
    for each in (device, Cpu(Cpu.kind, torch.float32)):
        engine = make_engine(each, settings)
        load = engine.use(Weights(settings.checkpoint))
        made, measured = engine.make(spec, lambda _step: None)
        pictures.append(np.asarray(made.picture).astype(float))
        seconds.append(sum(part or 0 for part in asdict(made.timings).values()))
        if each is device:
            memory = {"before": load.before, "loaded": load.after, "peak": measured.peak, "after": measured.after}
    difference = float(np.abs(pictures[0] - pictures[1]).mean())
    return {
        "device": device.name,
        "device_name": device.describe(),
        "dtype": device.dtype_name,
        "width": spec.width,
        "height": spec.height,
        "steps": spec.steps,
        "device_s": seconds[0],
        "cpu_s": seconds[1],
        "difference": difference,
        "tolerance": tolerance(device.dtype),
        "is_right": difference <= tolerance(device.dtype),
        "memory": {moment: asdict(reading) for moment, reading in memory.items() if reading is not None},
    }


def main(
    devices: Sequence[type[Device]] = BACKENDS, make_engine: Callable[[Device, Settings], Engine] = Engine
) -> None:
    """Print what came of it; what went wrong stands under `error`."""
    settings = load_settings()
    try:
        found = compare(choose_device(settings.device, settings.dtype, devices), settings, make_engine)
    except NightshiftError as error:
        found = {"error": str(error)}
    except RuntimeError as error:
        # torch knows no better word for what a driver says.
        found = {"error": f"{error}: the device's driver cannot be used as it is"}
    print(json.dumps(found))  # noqa: T201 - this is the answer


if __name__ == "__main__":
    main()
