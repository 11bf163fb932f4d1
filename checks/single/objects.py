"""How many separate objects there are."""

import numpy as np
from pydantic import BaseModel, Field
from scipy import ndimage

from checks.asked import Asked
from checks.picture import Picture
from models.types.finding import Finding

#: Parts that are nearer to each other than this share of the shorter side are one object, as a shoe and its laces.
_GAP = 0.02
#: What is smaller than this share of the largest object is no object of its own.
_SMALL = 0.1


class Limits(BaseModel):
    """How many there may be."""

    most: int = Field(1, ge=1, description="Largest number of objects.")


def check(picture: Picture, asked: Asked, limits: Limits) -> Finding:
    """Find the number of parts of the subject that stand apart."""
    reach = max(1, round(_GAP * picture.shorter / 2))
    grown = ndimage.binary_dilation(picture.subject, structure=np.ones((3, 3)), iterations=reach)
    parts, _ = ndimage.label(grown, structure=np.ones((3, 3)))
    sizes = np.bincount(parts[picture.subject])[1:] if picture.subject.any() else np.zeros(0)
    count = int((sizes >= _SMALL * sizes.max()).sum()) if sizes.size else 0
    objects = "1 object" if count == 1 else f"{count} objects"
    return Finding("objects", count, 1 <= count <= limits.most, f"{objects} (most {limits.most})")
