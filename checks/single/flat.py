"""Whether the picture is one flat colour."""

import numpy as np
from pydantic import BaseModel, Field

from checks.asked import Asked
from checks.picture import Picture
from models.types.finding import Finding


class Limits(BaseModel):
    """What counts as flat."""

    spread: float = Field(3.0, ge=0, description="Least spread of lightness, in units of L from 0 to 100.")


def check(picture: Picture, asked: Asked, limits: Limits) -> Finding:
    """Find the difference of L between the darkest hundredth of the pixels and the lightest."""
    low, high = np.percentile(picture.lab[..., 0], (0.5, 99.5))
    spread = float(high - low)
    passed = spread >= limits.spread
    said = "lightness varies" if passed else "one flat colour: lightness varies"
    return Finding("flat", spread, passed, f"{said} by {spread:.1f} of 100 (least {limits.spread:g})")
