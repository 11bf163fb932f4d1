"""What presets cost in quality and save in work: `python -m benchmarks.presets`.

The demo makes the same pictures by each preset, in turn, at 25 steps of PNDM and a guidance of 7.5 where a preset says
nothing else, which is what jobs of Stable Diffusion 1.5 take. Each is held against the one of `exact`: SSIM (Wang et
al., 2004, as scikit-image has it, in colour) and PSNR, means and 5th percentiles; and looked at for the colour and the
kind of shoe that was asked for. Work is counted in passes through the denoiser. Prints a table and JSON last; the exit
status is 1 where a preset is not what it promises.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from models.checkpoints import DEMO, CheckpointDefaults
from models.settings import Settings
from models.types.job import JobSpec
from models.types.presets import EXACT, PRESETS
from producer.actions.reports.similarity import similarity
from training import kind
from training.evaluation import STABLE_DIFFUSION, Drawn, figures, prompts
from training.pictures import drawn as pictures_drawn
from training.pictures import gathered
from worker.engine.checkpoints.local_checkpoint import find_checkpoint
from worker.engine.devices.registry import choose_device
from worker.engine.loading import load_checkpoint
from worker.engine.making.generation import generate

#: Those that need no LoRA, of which there is none for the demo.
MEASURED = [name for name, preset in PRESETS.items() if preset.lora is None]
#: Least mean SSIM, least 5th percentile of it, how many times less work, and how far colour and kind may fall.
PROMISED = {"fast": (0.97, 0.95, 3.0, 0.01), "turbo": (0.95, 0.0, 5.0, 0.01)}


@dataclass(frozen=True)
class Quality:
    """What was found of one preset."""

    preset: str
    scheduler: str
    steps: int
    colour: float
    kind: float
    ssim: float
    ssim_p5: float
    psnr: float
    psnr_p5: float
    #: How many times less of it than `exact` takes.
    work: float
    time: float


class Maker:
    """The demo, loaded as a worker loads it, with its passes through the denoiser counted."""

    def __init__(self) -> None:
        self._device = choose_device("cpu", "float32")
        self._loaded = load_checkpoint(find_checkpoint(DEMO), self._device, Settings())
        self.passes = 0
        # Guidance makes two pictures' worth of a pass, and each counts.
        self._loaded.pipeline.unet.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, _unet: Any, given: Any, _named: Any) -> None:
        self.passes += len(given[0])

    def draw(self, preset: str, count: int) -> Iterator[Drawn]:
        """Yield so many pictures."""
        settled = _settled(preset)
        for asked in islice(prompts(), count):
            spec = JobSpec(prompt=asked.prompt, seed=asked.seed, checkpoint=DEMO, **settled.model_dump())
            begun = time.perf_counter()
            picture = generate(self._loaded, self._device, spec, lambda _step: None).picture
            yield Drawn(picture, asked.colour, asked.kind, time.perf_counter() - begun, asked.wording)


def main() -> None:
    """Measure each preset and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--pictures", type=int, default=96)
    count = parser.parse_args().pictures
    torch.set_num_threads(1)
    measure, maker = _measure_of_kind(), Maker()
    drawn: dict[str, list[Drawn]] = {}
    passes: dict[str, int] = {}
    for preset in MEASURED:
        before = maker.passes
        drawn[preset] = list(maker.draw(preset, count))
        passes[preset] = maker.passes - before
    found = [_quality(preset, drawn, passes, measure) for preset in MEASURED]
    _print(found, count)
    sys.exit(1 if any(not _is_as_promised(one, found[0]) for one in found) else 0)


def _settled(preset: str) -> CheckpointDefaults:
    return CheckpointDefaults.model_validate({**STABLE_DIFFUSION.model_dump(), **PRESETS[preset].settles})


def _measure_of_kind() -> torch.nn.Module:
    generator = torch.Generator().manual_seed(5)
    torch.manual_seed(5)
    measure = kind.build()
    for _ in kind.train(measure, gathered(list(pictures_drawn(2_400, seed=5))), generator):
        pass
    return measure.eval()


def _quality(preset: str, drawn: dict[str, list[Drawn]], passes: dict[str, int], measure: torch.nn.Module) -> Quality:
    settled = _settled(preset)
    pairs = [
        (np.asarray(one.picture), np.asarray(other.picture))
        for one, other in zip(drawn[preset], drawn[EXACT], strict=True)
    ]
    similar = similarity(pairs)
    assert similar is not None
    seconds = {name: float(np.median([one.seconds for one in ones])) for name, ones in drawn.items()}
    shown = figures(drawn[preset], measure)
    return Quality(
        preset,
        settled.scheduler,
        settled.steps,
        shown.colour_right,
        shown.kind_right,
        similar.ssim,
        similar.ssim_p5,
        similar.psnr,
        similar.psnr_p5,
        passes[EXACT] / passes[preset],
        seconds[EXACT] / seconds[preset],
    )


def _is_as_promised(found: Quality, exact: Quality) -> bool:
    if found.preset not in PROMISED:
        return True
    ssim, ssim_p5, work, fall = PROMISED[found.preset]
    enough = found.ssim >= ssim and found.ssim_p5 >= ssim_p5 and found.work >= work
    return enough and found.colour >= exact.colour - fall and found.kind >= exact.kind - fall


def _print(found: list[Quality], count: int) -> None:
    heads = ("scheduler", 12), ("steps", 7), ("colour", 9), ("kind", 9), ("SSIM, p5", 16), ("PSNR, p5", 16)
    print(f"{'preset':8}" + "".join(f"{head:>{width}}" for head, width in (*heads, ("work", 8), ("time", 8))))
    for one in found:
        print(
            f"{one.preset:8}{one.scheduler:>12}{one.steps:>7}{one.colour:>9.1%}{one.kind:>9.1%}"
            f"{f'{one.ssim:.3f}, {one.ssim_p5:.3f}':>16}{f'{one.psnr:.1f}, {one.psnr_p5:.1f}':>16}"
            f"{one.work:>7.2f}x{one.time:>7.2f}x"
        )
    print(f"{count} pictures by each; work and time are how many times less than by {EXACT}")
    print(json.dumps([asdict(one) for one in found]))


if __name__ == "__main__":
    main()
