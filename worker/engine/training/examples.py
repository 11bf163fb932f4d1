"""Pictures and captions as a training takes them: encoded once, and kept."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import load, save
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
    """All of them, in memory.

    Of the distribution that the autoencoder gives for a picture it is the mean. A sample in each step, as the scripts
    of diffusers draw it, is nearly the same for Stable Diffusion, whose variances are tiny; where they are not, as the
    demo's are, the UNet would learn to draw their noise.
    """

    #: (pictures, channels, height / 8, width / 8) in float32, scaled as the UNet knows them.
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

    def content(self) -> bytes:
        """Return a file's content, from which `of_content` makes the same again."""
        named = {name: getattr(self, name) for name in ("latents", "tokens", "no_tokens")}
        mirrored = {} if self.mirrored is None else {"mirrored": self.mirrored}
        return save(named | mirrored | {"places": torch.tensor(self.places)})

    @classmethod
    def of_content(cls, content: bytes) -> "EncodedExamples":
        """Return what `content` was made of.

        Raises:
            SafetensorError, KeyError: it is no such content.
        """
        found = load(content)
        places = tuple(found["places"].tolist())
        return cls(found["latents"], found.get("mirrored"), found["tokens"], found["no_tokens"], places)


def encode(examples: Iterable[Example], parts: Parts, resolution: int, *, mirrored: bool) -> EncodedExamples:
    """Return the examples, each cut to a square of `resolution` pixels around its middle.

    Raises:
        ValueError: there are none.
    """
    latents, others, captions, places = [], [], [], []
    if parts.autoencoder.dtype != torch.float32:
        # It is done once, and float16 overflows in some autoencoders.
        parts.autoencoder.to(torch.float32)
    # A picture may come with several captions.
    known: dict[bytes, Tensor] = {}

    def encoded(square: Image.Image) -> Tensor:
        content = hashlib.sha256(square.tobytes()).digest()
        if content not in known:
            known[content] = _latents(square, parts)
        return known[content]

    for number, example in enumerate(examples):
        square = squared(example.picture, resolution)
        latents.append(encoded(square))
        if mirrored:
            others.append(encoded(ImageOps.mirror(square)))
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


def squared(picture: Image.Image, resolution: int) -> Image.Image:
    """Return a picture cut to a square of `resolution` pixels around its middle."""
    return ImageOps.fit(picture.convert("RGB"), (resolution, resolution), Image.Resampling.LANCZOS)


def decoded(latents: Tensor, parts: Parts) -> Image.Image:
    """Return the picture that the autoencoder makes of latents of one, (channels, height / 8, width / 8)."""
    autoencoder = parts.autoencoder
    with torch.no_grad():
        given = (latents[None] / autoencoder.config.scaling_factor).to(autoencoder.device, autoencoder.dtype)
        made: Tensor = autoencoder.decode(given).sample[0]
    pixels = ((made.to("cpu", torch.float32).clamp(-1, 1) + 1) * 127.5).round()
    return Image.fromarray(pixels.to(torch.uint8).permute(1, 2, 0).numpy())


def _latents(picture: Image.Image, parts: Parts) -> Tensor:
    pixels = torch.from_numpy(np.asarray(picture, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    with torch.no_grad():
        autoencoder = parts.autoencoder
        found: Tensor = autoencoder.encode(pixels.to(autoencoder.device, autoencoder.dtype)).latent_dist.mode()
    scaled: Tensor = found.to("cpu", torch.float32) * autoencoder.config.scaling_factor
    return scaled
