"""The checks there are, the sets that a batch may ask for, and how it asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from checks import duplicates
from checks.asked import Asked
from checks.picture import Picture
from checks.single import background, black, centre, clip, colour, edge, file, fill, flat, objects, sharpness, size
from models.types.finding import Finding

_Check = Callable[[Picture, Asked, Any], Finding]

#: Each check of a single picture, in the order in which findings are shown.
CHECKS: Mapping[str, tuple[_Check, type[BaseModel]]] = {
    "size": (size.check, size.Limits),
    "file": (file.check, file.Limits),
    "black": (black.check, black.Limits),
    "flat": (flat.check, flat.Limits),
    "background": (background.check, background.Limits),
    "fill": (fill.check, fill.Limits),
    "centre": (centre.check, centre.Limits),
    "edge": (edge.check, edge.Limits),
    "objects": (objects.check, objects.Limits),
    "colour": (colour.check, colour.Limits),
    "sharpness": (sharpness.check, sharpness.Limits),
    "clip": (clip.check, clip.Limits),
}
#: The one that compares pictures of a batch.
DUPLICATES = "duplicates"
LIMITS: Mapping[str, type[BaseModel]] = {name: limits for name, (_, limits) in CHECKS.items()} | {
    DUPLICATES: duplicates.Limits
}
# CLIP takes most of a second a picture, and weights that few have.
_PRODUCT: Mapping[str, Mapping[str, Any]] = {check: {} for check in LIMITS if check != "clip"}
_SHOE_PARTS = "eyelets insole lace laces midsole outsole sole soles tongue"
#: Named sets, each with the limits in which it differs from the checks' own: one object on white, as shops show it;
#: the same where it is a shoe, whose sole often has another colour; what no picture should be; nothing.
SETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "product": _PRODUCT,
    "shoes": {**_PRODUCT, "colour": {"bottom": 0.3, "parts": _SHOE_PARTS}},
    "broken": {check: {} for check in ("size", "file", "black", "flat")},
    "none": {},
}


@dataclass(frozen=True)
class Selection:
    """The checks of a batch with their limits."""

    limits: Mapping[str, BaseModel]

    @classmethod
    def of(cls, limits: Mapping[str, Mapping[str, Any]]) -> "Selection":
        """Return what a batch's row keeps, as `as_dict` gave it; checks of another version are left out."""
        return cls({check: kind.model_validate(limits[check]) for check, kind in LIMITS.items() if check in limits})

    def check(self, picture: Picture, asked: Asked) -> list[Finding]:
        """Return what each check of a single picture finds; one that fails on it is against it, and says why."""
        return [_finding(name, picture, asked, self.limits[name]) for name in CHECKS if name in self.limits]

    def seen(self) -> duplicates.Seen | None:
        """Return what compares the pictures of a batch, None where that is not asked for."""
        limits = self.limits.get(DUPLICATES)
        return duplicates.Seen(limits) if isinstance(limits, duplicates.Limits) else None

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Return the limits by check, as a batch's row keeps them."""
        return {name: limits.model_dump() for name, limits in self.limits.items()}


def select(text: str) -> Selection:
    """Read what checks are asked for: sets, names, `-name` to leave one out, `name.limit=value`, with commas between.

    Raises:
        ValueError: naming what is not known, and what is.
    """
    chosen: dict[str, dict[str, Any]] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        if "=" in word:
            name, _, value = word.partition("=")
            check, _, limit = name.partition(".")
            _require_known(check)
            if limit not in LIMITS[check].model_fields:
                known = ", ".join(f"{check}.{field}" for field in LIMITS[check].model_fields) or "none"
                raise ValueError(f"{check} has no limit {limit!r}; it has {known}")
            chosen.setdefault(check, {})[limit] = value
        elif word.startswith("-"):
            _require_known(word[1:])
            chosen.pop(word[1:], None)
        else:
            for check, limits in SETS[word].items() if word in SETS else [(_require_known(word), {})]:
                chosen[check] = {**limits, **chosen.get(check, {})}
    return Selection({check: _limits(check, chosen[check]) for check in LIMITS if check in chosen})


def _finding(check: str, picture: Picture, asked: Asked, limits: BaseModel) -> Finding:
    function, _ = CHECKS[check]
    try:
        return function(picture, asked, limits)
    except Exception as error:  # noqa: BLE001 - no picture is lost to a fault of what looks at it
        return Finding(check, None, passed=False, sentence=f"the check itself failed: {type(error).__name__}: {error}")


def _require_known(check: str) -> str:
    if check not in LIMITS:
        raise ValueError(f"no check is called {check!r}; there are {', '.join(LIMITS)}, and the sets {', '.join(SETS)}")
    return check


def _limits(check: str, values: Mapping[str, Any]) -> BaseModel:
    try:
        return LIMITS[check].model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{check}.{first['loc'][0]}: {first['msg']}") from None
