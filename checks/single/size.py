"""Whether the picture has the size that was asked for."""

from pydantic import BaseModel

from checks.asked import Asked
from checks.picture import Picture
from models.types.finding import Finding


class Limits(BaseModel):
    """There is nothing to set."""


def check(picture: Picture, asked: Asked, limits: Limits) -> Finding:
    """Find the number of pixels against the number that was asked for: 1 where all are there."""
    share = picture.width * picture.height / (asked.width * asked.height)
    passed = (picture.width, picture.height) == (asked.width, asked.height)
    said = f"{picture.width}x{picture.height}" + ("" if passed else f", asked for were {asked.width}x{asked.height}")
    return Finding("size", share, passed, said)
