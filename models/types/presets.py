"""Named ways to make a picture in less time, and what each settles of a job."""

from collections.abc import Mapping
from typing import Final

#: As it was asked for.
EXACT: Final = "exact"
#: Of Stable Diffusion 1.5 and what is trained from it. Fewer steps of a scheduler that needs fewer come nearer to the
#: picture of many steps than leaving parts of the denoiser out does: `python -m benchmarks.presets` has the figures.
PRESETS: Final[Mapping[str, Mapping[str, object]]] = {
    EXACT: {},
    "fast": {"scheduler": "UniPC", "steps": 8},
    "turbo": {"scheduler": "UniPC", "steps": 5},
}


def settled_by(name: object) -> Mapping[str, object]:
    """Return what the preset of that name settles of a job; nothing where none is called so."""
    return PRESETS.get(name.strip().lower(), {}) if isinstance(name, str) else {}


def canonical_preset(name: str) -> str:
    """Return the name of a preset, whatever its case.

    Raises:
        ValueError: naming those that there are.
    """
    found = name.strip().lower()
    if found not in PRESETS:
        raise ValueError(f"no preset is called {name!r}; there are {', '.join(PRESETS)}")
    return found
