"""Measures of a picture's pixels: the colour of the shoe in CIELAB, the white of the border, where the toe points."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from scipy import ndimage

from training.palette import COLOURS

#: A pixel is near white where no channel is below this.
NEAR_WHITE: Final = 240
#: Pixels of outline, which is darker than the upper, and share of the height that is sole.
_OUTLINE: Final = 2
_SOLE: Final = 0.3
_TO_LAB: Final = ImageCms.buildTransform(
    ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB", ImageCms.Intent.RELATIVE_COLORIMETRIC
)


def drawn_colour(picture: Image.Image) -> str | None:
    """Return the colour of the shoe in an RGB picture, or None if there is no shoe."""
    upper = _upper(np.asarray(picture))
    if not upper.any():
        return None
    seen = _lab(picture)[upper]
    palette = Image.new("RGB", (len(COLOURS), 1))
    palette.putdata(list(COLOURS.values()))
    distance = np.linalg.norm(seen[:, None] - _lab(palette)[0][None], axis=2)
    return list(COLOURS)[np.bincount(distance.argmin(1)).argmax()]


def white_border(picture: Image.Image, width: int = 4) -> float:
    """Return the share of near-white pixels in a border of that width."""
    white = np.asarray(picture).min(2) >= NEAR_WHITE
    inside = np.zeros_like(white)
    inside[width:-width, width:-width] = True
    return float(white[~inside].mean())


def points_left(picture: Image.Image) -> bool:
    """Tell whether the toe points left: a shoe of any kind is taller at its heel."""
    shoe = _shoe(np.asarray(picture))
    columns = np.flatnonzero(shoe.any(0))
    heights = shoe.sum(0)[columns[0] : columns[-1] + 1] if columns.size else np.zeros(2)
    left, right = np.array_split(heights, 2)
    return bool(left.sum() < right.sum())


def _upper(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the mask of the shoe without outline, sole and shadow."""
    upper = ndimage.binary_erosion(_shoe(pixels), iterations=_OUTLINE)
    rows = np.flatnonzero(upper.any(1))
    if rows.size:
        upper[rows[-1] - round(_SOLE * rows.size) :] = False
    return upper


def _shoe(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the mask of what is not background; a white upper belongs to it as long as its outline is closed."""
    regions, _ = ndimage.label(pixels.min(2) >= NEAR_WHITE)
    edge = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    return ~np.isin(regions, np.setdiff1d(edge, [0]))


def _lab(picture: Image.Image) -> NDArray[np.float64]:
    """Return L from 0 to 100, a and b: (height, width, 3). Pillow keeps all three in a byte each."""
    lab = np.asarray(ImageCms.applyTransform(picture, _TO_LAB)).astype(np.float64)
    lab[..., 0] *= 100 / 255
    # a and b are signed bytes.
    lab[..., 1:] = (lab[..., 1:] + 128) % 256 - 128
    return lab
