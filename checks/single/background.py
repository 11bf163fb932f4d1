"""Whether the background is white, as a catalogue wants it."""

import numpy as np
from pydantic import BaseModel, Field

from checks.asked import Asked
from checks.picture import Picture
from models.types.finding import Finding

#: A grey is neutral up to this distance from the grey axis of CIELAB, and light from this L on.
_NEUTRAL, _LIGHT = 6.0, 60.0


class Limits(BaseModel):
    """What counts as white, and how much of it there has to be."""

    share: float = Field(0.95, ge=0, le=1, description="Least share of the border that is near white.")
    white: int = Field(240, ge=0, le=255, description="Least value of the darkest channel of a near-white pixel.")
    grey: bool = Field(default=False, description="Whether a light neutral grey counts as well.")


def check(picture: Picture, asked: Asked, limits: Limits) -> Finding:
    """Find the share of the border's pixels that are near white, 0 to 1."""
    good = picture.rgb[picture.border].min(axis=1) >= limits.white
    if limits.grey:
        lab = picture.lab[picture.border]
        good |= (np.hypot(lab[:, 1], lab[:, 2]) <= _NEUTRAL) & (lab[:, 0] >= _LIGHT)
    share = float(good.mean())
    colour = "white or grey" if limits.grey else "white"
    return Finding(
        "background", share, share >= limits.share, f"{share:.1%} of the border is {colour} (least {limits.share:.0%})"
    )
