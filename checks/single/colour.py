"""Whether the subject has the colour that the prompt names."""

import numpy as np
from pydantic import BaseModel, Field
from scipy import ndimage

from checks.asked import Asked
from checks.colour_names import colours
from checks.picture import Mask, Picture
from models.types.finding import Finding

#: Outline that does not decide, in shares of the shorter side.
_OUTLINE = 0.015
#: Pixels that are looked at; more change nothing.
_ENOUGH = 4_000


class Limits(BaseModel):
    """How much of the subject has to have it, and what of the subject and of the prompt does not decide."""

    share: float = Field(0.35, ge=0, le=1, description="Least share of the subject that has the colour asked for.")
    bottom: float = Field(
        0.1, ge=0, lt=1, description="Share of the subject's height, from below, that does not decide: its shadow."
    )
    parts: str = Field("", description="Words of parts whose colour is not the subject's, with spaces between.")


def check(picture: Picture, asked: Asked, limits: Limits) -> Finding:
    """Find the share of the subject, without outline and bottom, that is nearest to the colours asked for."""
    table = colours()
    wanted = table.asked(asked.prompt, asked.attributes, limits.parts.lower().split())
    if not wanted:
        return Finding("colour", None, passed=True, sentence="the prompt asks for no colour")
    body = _body(picture, limits.bottom)
    if not body.any():
        return Finding("colour", None, passed=False, sentence="there is no subject")
    seen = picture.lab[body]
    shares = table.shares(seen[:: max(1, len(seen) // _ENOUGH)])
    share = sum(shares[name] for name in wanted)
    most = max(shares, key=shares.__getitem__)
    said = f"{share:.0%} of it is {' or '.join(wanted)} (least {limits.share:.0%})"
    passed = share >= limits.share
    return Finding("colour", share, passed, said if passed else f"{said}; most of it is {most} ({shares[most]:.0%})")


def _body(picture: Picture, bottom: float) -> Mask:
    """Return the subject without its outline, and without this share of its height from below."""
    body = ndimage.binary_erosion(picture.subject, iterations=max(1, round(_OUTLINE * picture.shorter)))
    if not body.any():
        body = picture.subject.copy()
    rows = np.flatnonzero(body.any(axis=1))
    if rows.size:
        body[rows[-1] + 1 - round(bottom * rows.size) :] = False
    return np.asarray(body)
