"""Whether the subject has the colour that the prompt names."""

import numpy as np
from pydantic import BaseModel, Field
from scipy import ndimage

from checks.asked import Asked
from checks.colour_names import colours
from checks.picture import Mask, Picture
from models.types.finding import Finding

#: Outline that does not decide, in shares of the shorter side, and share of the subject's height that is sole.
_OUTLINE, _SOLE = 0.015, 0.3
#: Pixels that are looked at; more change nothing.
_ENOUGH = 4_000


class Limits(BaseModel):
    """How much of the subject has to have it."""

    share: float = Field(0.35, ge=0, le=1, description="Least share of the subject that has the colour asked for.")


def look(picture: Picture, asked: Asked, limits: Limits) -> Finding:
    """Find the share of the subject, without outline, sole and shadow, that is nearest to the colours asked for."""
    table = colours()
    wanted = table.asked(asked.prompt, asked.attributes)
    if not wanted:
        return Finding("colour", None, passed=True, sentence="the prompt asks for no colour")
    body = _body(picture)
    if not body.any():
        return Finding("colour", None, passed=False, sentence="there is no subject")
    seen = picture.lab[body]
    shares = table.shares(seen[:: max(1, len(seen) // _ENOUGH)])
    share = sum(shares[name] for name in wanted)
    most = max(shares, key=shares.__getitem__)
    said = f"{share:.0%} of it is {' or '.join(wanted)} (least {limits.share:.0%})"
    passed = share >= limits.share
    return Finding("colour", share, passed, said if passed else f"{said}; most of it is {most} ({shares[most]:.0%})")


def _body(picture: Picture) -> Mask:
    """Return the subject without its outline, and without its lowest part, where sole and shadow are."""
    body = ndimage.binary_erosion(picture.subject, iterations=max(1, round(_OUTLINE * picture.shorter)))
    if not body.any():
        body = picture.subject.copy()
    rows = np.flatnonzero(body.any(axis=1))
    if rows.size:
        body[rows[-1] + 1 - round(_SOLE * rows.size) :] = False
    return np.asarray(body)
