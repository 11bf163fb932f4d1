"""Whether the subject stands in the middle."""

import math

from pydantic import BaseModel, Field
from scipy import ndimage

from checks.asked import Asked
from checks.picture import Picture
from models.types.finding import Finding


class Limits(BaseModel):
    """How far off it may be."""

    off: float = Field(0.15, ge=0, description="Largest distance from the middle, in shares of the shorter side.")


def check(picture: Picture, asked: Asked, limits: Limits) -> Finding:
    """Find how far the subject's centre of mass is from the picture's middle, in shares of the shorter side."""
    if not picture.subject.any():
        return Finding("centre", None, passed=False, sentence="there is no subject")
    down, across = ndimage.center_of_mass(picture.subject)
    off = math.hypot(down - (picture.height - 1) / 2, across - (picture.width - 1) / 2) / picture.shorter
    return Finding("centre", off, off <= limits.off, f"{off:.1%} off the middle (most {limits.off:.0%})")
