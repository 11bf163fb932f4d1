"""Steps of a training, against a plain loop that works as scripts do: `python -m benchmarks.training`.

The loop encodes picture and caption anew in each step, and computes twice what the way back needs, as the
configuration that people bring says. Both take the same pictures, in turn, in one process.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import torch
from diffusers import StableDiffusionPipeline
from diffusers.training_utils import cast_training_params
from peft import LoraConfig
from PIL import Image
from torch.nn import functional

from benchmarks.random_weights import make_stable_diffusion
from models.checkpoints import DEMO, DEMO_FOLDER
from models.training.config import TrainingConfig
from worker.engine.training.examples import Example, encode
from worker.engine.training.parts import Parts
from worker.engine.training.trainer import Trainer

_DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
_CAPTION = "a professional product photo of black casual shoes on white background"


def main() -> None:
    """Print seconds a step of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stable-diffusion", action="store_true", help="the architecture of 1.5: some ten minutes")
    parser.add_argument("--checkpoint", help="folder of another one")
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--steps", type=int, default=4)
    asked = parser.parse_args()
    config = TrainingConfig(
        model_id="demo", resolution=asked.resolution, gradient_accumulation_steps=1, max_train_steps=asked.steps + 1
    )
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder, "sd15") if asked.stable_diffusion else DEMO_FOLDER
        if asked.checkpoint not in (None, DEMO):
            checkpoint = Path(asked.checkpoint)
        if asked.stable_diffusion:
            make_stable_diffusion(checkpoint)
        sides = {"plain loop": _plain(checkpoint, config), "Nightshift": _ours(checkpoint, config)}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(asked.steps + 1):
        for name, step in sides.items():
            begun = time.perf_counter()
            step()
            if _DEVICE == "cuda":
                torch.cuda.synchronize()
            # The first is untypical.
            if turn:
                times[name].append(time.perf_counter() - begun)
    for name, found in times.items():
        print(
            f"{name}: {median(found):.2f} s a step of {config.pictures_a_step} ({min(found):.2f} to {max(found):.2f})"
        )
    ratios = [plain / ours for plain, ours in zip(*times.values(), strict=True)]
    print(f"ratio: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"memory of both: {psutil.Process().memory_info().rss / 1e9:.1f} GB")


def _pictures(config: TrainingConfig) -> list[Image.Image]:
    rng = np.random.default_rng(1)
    side = config.resolution
    return [Image.fromarray(rng.integers(0, 255, (side, side, 3), dtype=np.uint8)) for _ in range(8)]


def _loaded(checkpoint: Path) -> Any:
    dtype = torch.float16 if _DEVICE == "cuda" else torch.float32
    return StableDiffusionPipeline.from_pretrained(checkpoint, safety_checker=None, dtype=dtype).to(_DEVICE)


def _ours(checkpoint: Path, config: TrainingConfig) -> Callable[[], None]:
    parts = Parts.of(_loaded(checkpoint))
    examples = encode([Example(one, _CAPTION) for one in _pictures(config)], parts, config.sizes, mirrored=False)
    trainer = Trainer(parts.without_autoencoder(), examples, config)
    return lambda: trainer.train(trainer.step + 1)


def _plain(checkpoint: Path, config: TrainingConfig) -> Callable[[], None]:
    parts = Parts.of(_loaded(checkpoint))
    unet = parts.unet
    unet.add_adapter(
        LoraConfig(r=config.lora_rank, lora_alpha=config.lora_rank, target_modules=list(config.lora_target_modules))
    )
    unet.enable_gradient_checkpointing()
    unet.train()
    cast_training_params(unet)
    trained = [parameter for parameter in unet.parameters() if parameter.requires_grad]
    is_half = unet.dtype == torch.float16
    scaler = torch.amp.GradScaler(_DEVICE, enabled=is_half)
    optimizer = torch.optim.AdamW(trained, lr=config.learning_rate)
    stacked = np.stack([np.asarray(one, dtype=np.float32) for one in _pictures(config)])
    pixels = torch.from_numpy(stacked / 127.5 - 1).permute(0, 3, 1, 2).to(_DEVICE, parts.autoencoder.dtype)
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        chosen = torch.randint(len(pixels), (config.train_batch_size,), generator=generator)
        with torch.no_grad():
            latents = (
                parts.autoencoder.encode(pixels[chosen]).latent_dist.sample() * parts.autoencoder.config.scaling_factor
            )
            told = parts.embeddings(parts.tokens([_CAPTION] * len(chosen)))
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        times = torch.randint(1000, (len(chosen),), generator=generator).to(_DEVICE)
        with torch.autocast(_DEVICE, torch.float16, enabled=is_half):
            said = unet(parts.noise.add_noise(latents, noise, times), times, told).sample
        loss = functional.mse_loss(said.float(), noise.float())
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(trained, config.max_grad_norm)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()

    return step


if __name__ == "__main__":
    main()
