"""The drawn pictures, as many of each colour and kind."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import torch
from PIL import Image
from torch import Tensor

from training.drawing import CLASSES, draw_every_class
from training.palette import COLOURS, KINDS


@dataclass(frozen=True)
class Pictures:
    """`pixels` is (n, 3, 128, 128) uint8; `colours` and `kinds` are (n,) places in the palette."""

    pixels: Tensor
    colours: Tensor
    kinds: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def scaled(self, indices: Tensor) -> Tensor:
        """Return the pixels of some pictures from -1 to 1, as an autoencoder takes them."""
        return self.pixels[indices].float() / 127.5 - 1

    def labelled(self) -> Iterator[tuple[Image.Image, str, str]]:
        """Yield each picture with the names of its colour and its kind."""
        colours, kinds = list(COLOURS), list(KINDS)
        for pixels, colour, kind in zip(self.pixels, self.colours, self.kinds, strict=True):
            yield Image.fromarray(pixels.permute(1, 2, 0).numpy()), colours[colour], kinds[kind]


def drawn(number: int, seed: int) -> Iterator[Pictures]:
    """Yield `number` pictures in portions of all 48 classes; the same seed gives the same pictures.

    Raises:
        ValueError: if `number` is no multiple of the classes.
    """
    if number % len(CLASSES):
        raise ValueError(f"{number} pictures cannot be shared out among {len(CLASSES)} classes")
    colours, kinds = list(COLOURS), list(KINDS)
    labels = [(colours.index(colour), kinds.index(kind)) for colour, kind in CLASSES]
    # Started afresh: a fork beside the threads of torch may hang.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        rounds = ((seed, start) for start in range(number // len(CLASSES)))
        for pixels in pool.map(draw_every_class, rounds):
            yield Pictures(torch.from_numpy(pixels), *torch.tensor(labels).unbind(1))


def gathered(portions: list[Pictures]) -> Pictures:
    """Return portions as one."""
    return Pictures(*(torch.cat([getattr(p, name) for p in portions]) for name in ("pixels", "colours", "kinds")))
