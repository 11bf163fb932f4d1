"""Noticing that the device did not do what it was told, where no library says so.

Metal's driver may drop a command buffer without an error that torch looks at (`MPSStream::synchronize` and
`commitAndWait` wait, and never read `MTLCommandBuffer.status`; pytorch #193571 saw that on an M2 Max, diffusers #2521
later submissions that were ignored). What is read then is finite: memory as something else left it, or zeros.
"""

from collections.abc import Hashable

import numpy as np
import torch
from PIL.Image import Image

from models.types.errors import DeviceFaultError
from worker.engine.devices.device import Device

#: As many numbers as a group of threads of a GPU has, so that more than one of them has to be right.
_COUNT = 256


class Canary:
    """Looks, after each picture, at a sum whose result is known and at the picture itself.

    For the thread that owns the device.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        #: Another number each time, so that the memory of an earlier sum is no right answer.
        self._number = 0
        #: What the last picture was asked for with, and its pixels.
        self._last: tuple[Hashable, np.ndarray] | None = None

    def require_computing(self) -> None:
        """Have the device compute n + 1.

        Raises:
            DeviceFaultError: if it comes to anything else, or the driver refuses.
        """
        self._number += 1
        try:
            answer = self._device.read(torch.full((_COUNT,), self._number, device=self._device.torch) + 1)
        except RuntimeError as error:
            said = str(error).splitlines() or [type(error).__name__]
            raise DeviceFaultError(f"the device no longer computes: {said[0]}") from error
        wrong = answer[answer != self._number + 1]
        if len(wrong):
            raise DeviceFaultError(f"the device no longer computes: {self._number} + 1 came to {wrong[0]}")

    def forget_last(self) -> None:
        """Note that other weights are in memory: they may be the same ones under another name, and make the same."""
        self._last = None

    def require_made(self, picture: Image, given: Hashable) -> None:
        """Look whether the device made `picture` of what it was `given`, or left what was in memory before.

        Raises:
            DeviceFaultError: if all pixels have one value, or are those of the last picture, which was made of
                something else.
        """
        pixels = np.asarray(picture)
        if (pixels == pixels[0, 0]).all():
            raise DeviceFaultError(f"all pixels of the picture are {picture.getpixel((0, 0))}: it was not made")
        last, self._last = self._last, (given, pixels)
        if last is not None and last[0] != given and np.array_equal(last[1], pixels):
            raise DeviceFaultError("the picture is the last one's, pixel by pixel, for another prompt: it was not made")
