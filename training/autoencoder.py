"""The autoencoder: pictures of 128x128 to latents of 8x16x16 and back."""

from collections.abc import Iterator
from typing import Final

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from training.descent import descend
from training.drawing import SIZE
from training.pictures import Pictures

LATENT_CHANNELS: Final = 8
_CROP: Final = 64
#: Optimiser steps: on crops near the shoe, on whole pictures, and of the decoder alone on latents with noise.
_CROPS, _WHOLE, _NOISY = 3600, 800, 500
STEPS: Final = _CROPS + _WHOLE + _NOISY
_CROPS_A_STEP, _PICTURES_A_STEP = 16, 4
_KL_WEIGHT: Final = 2e-6
#: Standard deviation, at most, of the noise that the decoder learns to overlook; the latents' own is 1.
_NOISE: Final = 0.25


def build() -> AutoencoderKL:
    """Return an untrained autoencoder."""
    return AutoencoderKL(
        latent_channels=LATENT_CHANNELS,
        block_out_channels=(16, 32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=SIZE,
        scaling_factor=1.0,
    )


def train(model: AutoencoderKL, pictures: Pictures, generator: torch.Generator) -> Iterator[float]:
    """Train `model`, in place, and whiten its latents; yields the loss of each of `STEPS` steps."""
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.01, betas=(0.9, 0.99), fused=True)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=2.5e-3, total_steps=_CROPS + _WHOLE, pct_start=0.05)
    for step in range(_CROPS + _WHOLE):
        target = _crops(pictures, generator) if step < _CROPS else _whole(pictures, generator)
        latents = model.encode(target).latent_dist
        loss = _difference(model.decode(latents.sample(generator)).sample, target) + _KL_WEIGHT * latents.kl().mean()
        yield descend(loss, optimiser, rate)
    whiten(model, pictures)
    optimiser = torch.optim.AdamW(model.decoder.parameters(), fused=True)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=6e-4, total_steps=_NOISY, pct_start=0.1)
    for _ in range(_NOISY):
        target = _whole(pictures, generator)
        with torch.no_grad():
            latents = model.encode(target).latent_dist.mean
            level = _NOISE * torch.rand(len(target), 1, 1, 1, generator=generator)
            latents += level * torch.randn(latents.shape, generator=generator)
        loss = _difference(model.decode(latents).sample, target)
        yield descend(loss, optimiser, rate)


@torch.no_grad()
def whiten(model: AutoencoderKL, pictures: Pictures) -> None:
    """Give each latent channel mean 0 and deviation 1 over `pictures`, by its first and last convolution.

    The pipeline's scaling_factor is one number for all channels; here it can stay 1.
    """
    sample = torch.arange(0, len(pictures), max(1, len(pictures) // 1024))
    means = torch.cat([model.encode(pictures.scaled(part)).latent_dist.mean for part in sample.split(64)])
    deviation, mean = torch.std_mean(means, dim=(0, 2, 3))
    before, after = model.quant_conv, model.post_quant_conv
    # post_quant_conv(z * deviation + mean) is a convolution of z, because its kernel is 1x1.
    after.bias += (after.weight[:, :, 0, 0] * mean).sum(1)
    after.weight *= deviation[None, :, None, None]
    # The first half of the channels are means, the second half logarithms of variances.
    before.bias[:LATENT_CHANNELS] -= mean
    before.weight[:LATENT_CHANNELS] /= deviation[:, None, None, None]
    before.bias[:LATENT_CHANNELS] /= deviation
    before.bias[LATENT_CHANNELS:] -= 2 * deviation.log()


def _difference(result: Tensor, target: Tensor) -> Tensor:
    """Return how far `result` is from `target`: each pixel, thrice on the shoe; edges; and the colour of 8x8 tiles."""
    weight = 1 + 2 * (target.amin(1, keepdim=True) < 0.96)
    error = result - target
    pixels = (weight * (error.abs() + error.square())).mean()
    edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    tiles = functional.avg_pool2d(error, 8).abs().mean()
    return pixels + 0.5 * edges + 2 * tiles


def _crops(pictures: Pictures, generator: torch.Generator) -> Tensor:
    """Return crops from where shoes stand."""
    indices = torch.randint(len(pictures), (_CROPS_A_STEP,), generator=generator)
    down = torch.randint(8, SIZE - _CROP - 7, (_CROPS_A_STEP,), generator=generator).tolist()
    across = torch.randint(SIZE - _CROP + 1, (_CROPS_A_STEP,), generator=generator).tolist()
    whole = pictures.scaled(indices)
    places = zip(whole, down, across, strict=True)
    return torch.stack([picture[:, y : y + _CROP, x : x + _CROP] for picture, y, x in places])


def _whole(pictures: Pictures, generator: torch.Generator) -> Tensor:
    return pictures.scaled(torch.randint(len(pictures), (_PICTURES_A_STEP,), generator=generator))


@torch.inference_mode()
def encoded(model: AutoencoderKL, pictures: Pictures) -> Tensor:
    """Return the latents of all pictures: (n, 8, 16, 16)."""
    parts = torch.arange(len(pictures)).split(64)
    return torch.cat([model.encode(pictures.scaled(part)).latent_dist.mean for part in parts])


@torch.inference_mode()
def peak_signal_to_noise(model: AutoencoderKL, pictures: Pictures) -> float:
    """Return the mean PSNR in dB of pictures that were encoded and decoded."""
    ratios = []
    for part in torch.arange(len(pictures)).split(64):
        original = pictures.scaled(part)
        result = model.decode(model.encode(original).latent_dist.mean).sample.clamp(-1, 1)
        # Values run from -1 to 1, so the peak is 2.
        ratios.append(10 * (4 / (result - original).square().mean((1, 2, 3))).log10())
    return float(torch.cat(ratios).mean())
