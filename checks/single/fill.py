"""How much of the frame the subject fills."""

from pydantic import BaseModel, Field

from checks.asked import Asked
from checks.picture import Picture
from models.types.finding import Finding


class Limits(BaseModel):
    """From how much to how much."""

    least: float = Field(0.05, ge=0, le=1, description="Least share of the picture that is subject.")
    most: float = Field(0.75, ge=0, le=1, description="Largest share of the picture that is subject.")


def check(picture: Picture, asked: Asked, limits: Limits) -> Finding:
    """Find the share of the pixels that are subject, 0 to 1."""
    share = float(picture.subject.mean())
    return Finding(
        "fill",
        share,
        limits.least <= share <= limits.most,
        f"the subject fills {share:.1%} of the picture ({limits.least:.0%} to {limits.most:.0%})",
    )
