"""Pictures and captions as a training takes them: encoded once, and kept."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import load, save
from torch import Tensor

from models.training.sizes import nearest_size
from worker.engine.training.parts import Parts

#: What the content of a file calls each of the pictures.
_PICTURE = "picture."


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

    #: (channels, height / 8, width / 8) of each picture in float32, scaled as the UNet knows them.
    latents: Sequence[Tensor]
    #: The same of mirrored pictures; None where none are.
    mirrored: Sequence[Tensor] | None
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
        named = {"tokens": self.tokens, "no_tokens": self.no_tokens, "places": torch.tensor(self.places)}
        # What comes with several captions is written once.
        numbers: dict[int, int] = {}
        kinds = {"latents": self.latents} | ({} if self.mirrored is None else {"mirrored": self.mirrored})
        for kind, tensors in kinds.items():
            for tensor in tensors:
                if id(tensor) not in numbers:
                    numbers[id(tensor)] = len(numbers)
                    named[f"{_PICTURE}{numbers[id(tensor)]}"] = tensor
            named[kind] = torch.tensor([numbers[id(tensor)] for tensor in tensors])
        return save(named)

    @classmethod
    def of_content(cls, content: bytes) -> "EncodedExamples":
        """Return what `content` was made of.

        Raises:
            SafetensorError, KeyError: it is no such content.
        """
        found = load(content)
        kinds = [
            [found[f"{_PICTURE}{number}"] for number in found[kind].tolist()] if kind in found else None
            for kind in ("latents", "mirrored")
        ]
        latents, mirrored = kinds
        if latents is None:
            raise KeyError("latents")
        return cls(latents, mirrored, found["tokens"], found["no_tokens"], tuple(found["places"].tolist()))


def encode(
    examples: Iterable[Example], parts: Parts, sizes: Sequence[tuple[int, int]], *, mirrored: bool
) -> EncodedExamples:
    """Return the examples, each brought to the size that is nearest to its shape; see `fitted`.

    Raises:
        ValueError: there are none.
    """
    latents: list[Tensor] = []
    others: list[Tensor] = []
    captions: list[str] = []
    places: list[int] = []
    if parts.autoencoder.dtype != torch.float32:
        # It is done once, and float16 overflows in some autoencoders.
        parts.autoencoder.to(torch.float32)
    # A picture may come with several captions.
    known: dict[bytes, Tensor] = {}

    def encoded(picture: Image.Image) -> Tensor:
        content = hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).digest()
        if content not in known:
            known[content] = _latents(picture, parts)
        return known[content]

    for number, example in enumerate(examples):
        picture = fitted(example.picture, sizes)
        latents.append(encoded(picture))
        if mirrored:
            others.append(encoded(ImageOps.mirror(picture)))
        captions.append(example.caption)
        places += [number] * example.repeats
    if not latents:
        raise ValueError("there is no picture to learn from")
    return EncodedExamples(
        latents,
        others if mirrored else None,
        parts.tokens(captions),
        parts.tokens([""]),
        tuple(places),
    )


def fitted(picture: Image.Image, sizes: Sequence[tuple[int, int]]) -> Image.Image:
    """Return a picture in RGB in the size that is nearest to its shape; what is beyond that is cut off around it."""
    return ImageOps.fit(picture.convert("RGB"), nearest_size(*picture.size, sizes), Image.Resampling.LANCZOS)


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
    scaled: Tensor = found[0].to("cpu", torch.float32) * autoencoder.config.scaling_factor
    return scaled
