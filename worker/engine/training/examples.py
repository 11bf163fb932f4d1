"""Pictures and captions as a training takes them: encoded once, and kept."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from worker.engine.training.parts import Parts


@dataclass(frozen=True)
class Example:
    """A picture to learn from."""

    picture: Image.Image
    caption: str
    #: How often it comes in a pass through all of them.
    repeats: int = 1


@dataclass(frozen=True)
class EncodedExamples:
    """All of them, in memory; pictures are distributions of latents, of which each step draws a sample."""

    #: (pictures, 2 * channels, height / 8, width / 8) in float32: mean, and logarithm of the variance.
    latents: Tensor
    #: The same of mirrored pictures; None where none are.
    mirrored: Tensor | None
    #: (pictures, 77)
    tokens: Tensor
    #: (1, 77), of no caption.
    no_tokens: Tensor
    #: Numbers of the pictures, each as often as it comes in a pass.
    places: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.latents)


def encode(examples: Iterable[Example], parts: Parts, resolution: int, *, mirrored: bool) -> EncodedExamples:
    """Return the examples, each cut to a square of `resolution` pixels around its middle.

    Raises:
        ValueError: there are none.
    """
    latents, others, captions, places = [], [], [], []
    for number, example in enumerate(examples):
        square = ImageOps.fit(example.picture.convert("RGB"), (resolution, resolution), Image.Resampling.LANCZOS)
        latents.append(_latents(square, parts))
        if mirrored:
            others.append(_latents(ImageOps.mirror(square), parts))
        captions.append(example.caption)
        places += [number] * example.repeats
    if not latents:
        raise ValueError("there is no picture to learn from")
    return EncodedExamples(
        torch.cat(latents),
        torch.cat(others) if mirrored else None,
        parts.tokens(captions),
        parts.tokens([""]),
        tuple(places),
    )


def _latents(picture: Image.Image, parts: Parts) -> Tensor:
    pixels = torch.from_numpy(np.asarray(picture, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    with torch.no_grad():
        autoencoder = parts.autoencoder
        found: Tensor = autoencoder.encode(pixels.to(autoencoder.device, autoencoder.dtype)).latent_dist.parameters
    return found.to("cpu", torch.float32)


def sample(parameters: Tensor, noise: Tensor, scaling: float) -> Tensor:
    """Return latents as the UNet knows them, drawn from distributions by normal noise.

    As `DiagonalGaussianDistribution` of diffusers does: the logarithm of the variance is between -30 and 20.
    """
    mean, log_variance = parameters.chunk(2, dim=1)
    return (mean + torch.exp(0.5 * log_variance.clamp(-30.0, 20.0)) * noise) * scaling
