"""Batch invariance: a picture is the same to the bit, alone and together with others in one call.

On the CPU three things in a UNet of diffusers depend on how many rows go through it (found by comparing all its modules
one by one with torch 2.13, on two processors). A matrix product of few rows is rounded otherwise than one of more: the
layers that embed the time step have two rows for each guided picture, and in the deepest blocks a small picture has few
tokens. And on one thread torch convolves 1x1 kernels by another library from 16 rows on. A picture without guidance has
one row, which torch convolves as it does no others: nothing here helps with that.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

#: Rows that go through a 1x1 convolution at once on the CPU.
_ROWS = 8
#: Rows from which on a matrix product does not depend on their number: measured on a processor with AVX-512, on which
#: they are more than on one without.
_ENOUGH_ROWS = 16
#: The names of what embeds the time step: of the UNet, and of each of its blocks.
_OF_TIME = ("time_embedding", "time_emb_proj")


@dataclass
class _Call:
    pictures: int = 1


_calls: WeakKeyDictionary[nn.Module, _Call] = WeakKeyDictionary()


class _InParts(nn.Conv2d):
    """A convolution of few rows at once."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Convolve, and put the parts together again."""
        if len(input) <= _ROWS or input.device.type != "cpu":
            return super().forward(input)
        return torch.cat([super(_InParts, self).forward(part) for part in input.chunk(ceil(len(input) / _ROWS))])


class _PictureByPicture(nn.Linear):
    """A matrix product whose rows are those of one picture where these are few."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Multiply, and put the pictures together again."""
        if input.dim() != 3 or input.shape[1] >= _ENOUGH_ROWS or input.device.type != "cpu":
            return super().forward(input)
        return torch.cat([super(_PictureByPicture, self).forward(one) for one in input.chunk(len(input))])


def make_invariant(unet: nn.Module) -> None:
    """Have a UNet work so; `expect` has to say of each call how many pictures it makes."""
    call = _calls[unet] = _Call()

    def only_one_picture(_module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        if call.pictures == 1:
            return given
        # All pictures are at the same step; one that is guided has its two rows in two halves of the input.
        return tuple(each[: len(each) // call.pictures] if isinstance(each, Tensor) else each for each in given)

    def for_all_pictures(_module: nn.Module, _given: tuple[Any, ...], made: Tensor) -> Tensor:
        return made if call.pictures == 1 else made.repeat_interleave(call.pictures, dim=0)

    for name, module in unet.named_modules():
        if name.rpartition(".")[2] in _OF_TIME:
            module.register_forward_pre_hook(only_one_picture)
            module.register_forward_hook(for_all_pictures)
        elif type(module) is nn.Linear:
            module.__class__ = _PictureByPicture
        elif type(module) is nn.Conv2d and module.kernel_size == (1, 1):
            # The object stays the same, and with it whatever else was hooked to it.
            module.__class__ = _InParts


def expect(unet: nn.Module, pictures: int) -> None:
    """Have the next call make so many pictures."""
    _calls[unet].pictures = pictures


def expected(unet: nn.Module) -> int:
    """Return how many pictures the next call makes."""
    return _calls[unet].pictures
