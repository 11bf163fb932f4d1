"""Whether the subject has edges, or came out as mush."""

import numpy as np
from pydantic import BaseModel, Field
from scipy import ndimage

from checks.asked import Asked
from checks.picture import Picture
from models.types.finding import Finding

#: Gaussian that the picture is blurred with again, in shares of the shorter side.
_AGAIN = 0.012


class Limits(BaseModel):
    """How sharp it has to be."""

    least: float = Field(0.35, ge=0, le=1, description="Least share of the steps between pixels that blurring takes.")


def check(picture: Picture, asked: Asked, limits: Limits) -> Finding:
    """Find what share of the steepest steps between pixels is lost when the picture is blurred again, 0 to 1.

    What is blurred already loses little (Crete and others, The blur effect, 2007). The steepest hundredth of the steps
    counts, so that a large even area does not.
    """
    lightness = picture.lab[..., 0]
    again = ndimage.gaussian_filter(lightness, max(1.0, _AGAIN * picture.shorter))
    before, after = (_steepest(values) for values in (lightness, again))
    lost = 1 - after / before if before > 0 else 0.0
    return Finding("sharpness", lost, lost >= limits.least, f"sharpness {lost:.2f} (least {limits.least:g})")


def _steepest(lightness: np.ndarray) -> float:
    down, across = np.gradient(lightness)
    steps = np.hypot(down, across).ravel()
    count = max(1, steps.size // 100)
    return float(np.partition(steps, -count)[-count:].mean())
