"""A finished picture as the checks see it: pixels, their colours in CIELAB, and where its subject is."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2lab

#: Share of the shorter side that is the border, in which no subject is expected.
BORDER = 0.04
#: Distance in CIELAB from which a pixel is not of the background's colour; a difference of 2.3 is just noticeable.
_APART = 6.0
#: Gaps of an outline up to this share of the shorter side are closed, so that the background does not run in.
_GAP = 0.03
#: Share of the picture's pixels below which something is a speck and no part of the subject.
_SPECK = 0.0005
#: Neighbours at corners count.
_ALL_SIDES = np.ones((3, 3), dtype=bool)

Mask = NDArray[np.bool_]


class Picture:
    """An RGB picture; what is derived from its pixels is computed once, when it is first asked for."""

    def __init__(self, image: Image.Image, file_bytes: int | None = None) -> None:
        #: None where the picture is not in a file yet.
        self.file_bytes = file_bytes
        #: (height, width, 3), 0 to 255.
        self.rgb: NDArray[np.uint8] = np.asarray(image.convert("RGB"))
        self.height, self.width = self.rgb.shape[:2]

    @cached_property
    def lab(self) -> NDArray[np.float64]:
        """L from 0 to 100, a and b: (height, width, 3), for the light D65."""
        return np.asarray(rgb2lab(self.rgb), dtype=np.float64)

    @cached_property
    def border(self) -> Mask:
        """The pixels of the border."""
        width = max(1, round(BORDER * min(self.height, self.width)))
        mask = np.ones((self.height, self.width), dtype=bool)
        mask[width:-width, width:-width] = False
        return mask

    @cached_property
    def subject(self) -> Mask:
        """What is not background: all that background-coloured pixels do not reach from the edge.

        The background's colour is the median of the border; an object of that very colour counts from its outline on,
        if that is closed.
        """
        background = np.median(self.lab[self.border], axis=0)
        unlike = np.linalg.norm(self.lab - background, axis=2) >= _APART
        reach = max(1, round(_GAP * self.shorter / 2))
        # Closed with room around it, for at the edge a closing takes off what it put on elsewhere.
        room = slice(reach + 1, -reach - 1)
        closed = ndimage.binary_closing(np.pad(unlike, reach + 1), _ALL_SIDES, iterations=reach)[room, room]
        like, _ = ndimage.label(~closed)
        edge = np.concatenate([like[0], like[-1], like[:, 0], like[:, -1]])
        parts, count = ndimage.label(~np.isin(like, np.setdiff1d(edge, [0])), structure=_ALL_SIDES)
        if count == 0:
            return np.zeros((self.height, self.width), dtype=bool)
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        mask: Mask = (sizes >= _SPECK * parts.size)[parts]
        return mask

    @property
    def shorter(self) -> int:
        """Pixels of the shorter side."""
        return int(min(self.height, self.width))
