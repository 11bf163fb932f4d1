"""Whether the picture is all black, as a pipeline leaves it whose numbers broke."""

from pydantic import BaseModel, Field

from checks.asked import Asked
from checks.picture import Picture
from models.types.finding import Finding


class Limits(BaseModel):
    """What counts as black."""

    brightest: int = Field(16, ge=0, le=255, description="Brightest channel of a black picture, 0 to 255.")


def check(picture: Picture, asked: Asked, limits: Limits) -> Finding:
    """Find the brightest channel of any pixel, 0 to 255."""
    brightest = int(picture.rgb.max())
    passed = brightest > limits.brightest
    return Finding("black", brightest, passed, "not black" if passed else f"all black: no channel is over {brightest}")
