"""Whether the subject is cut off by the picture's edge."""

import numpy as np
from pydantic import BaseModel, Field

from checks.asked import Asked
from checks.picture import Picture
from models.types.finding import Finding


class Limits(BaseModel):
    """How much of the edge it may touch."""

    share: float = Field(0.01, ge=0, le=1, description="Largest share of the edge's pixels that are subject.")


def check(picture: Picture, asked: Asked, limits: Limits) -> Finding:
    """Find the share of the outermost pixels that are subject, 0 to 1."""
    mask = picture.subject
    edge = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    share = float(edge.mean())
    return Finding(
        "edge", share, share <= limits.share, f"the subject touches {share:.1%} of the edge (most {limits.share:.0%})"
    )
