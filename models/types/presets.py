"""Named ways to make a picture in less time, and what each settles of a job."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: As it was asked for.
EXACT: Final = "exact"


@dataclass(frozen=True)
class Preset:
    """What a job is made with."""

    #: Fields of a job, in place of what is asked for.
    settles: Mapping[str, object] = field(default_factory=dict)
    #: A LoRA of the hub that it needs, beside those that are asked for.
    lora: str | None = None


#: Of Stable Diffusion 1.5 and what is trained from it. Fewer steps of a scheduler that needs fewer come nearer to the
#: picture of many steps than leaving parts of the denoiser out does, or guidance in the last steps: `python -m
#: benchmarks.presets` and docs/decisions.md have the figures.
#: A draft is another picture: its LoRA was trained to need 2 to 8 steps and no guidance (Luo et al., 2023, LCM-LoRA;
#: steps and guidance as the model's card has them).
PRESETS: Final[Mapping[str, Preset]] = {
    EXACT: Preset(),
    "fast": Preset({"scheduler": "UniPC", "steps": 8}),
    "turbo": Preset({"scheduler": "UniPC", "steps": 5}),
    "draft": Preset({"scheduler": "LCM", "steps": 4, "guidance": 1.0}, lora="latent-consistency/lcm-lora-sdv1-5"),
}


def preset_of(name: object) -> Preset:
    """Return the preset of that name, whatever its case; one that settles nothing where none is called so."""
    return PRESETS.get(name.strip().lower(), Preset()) if isinstance(name, str) else Preset()


def canonical_preset(name: str) -> str:
    """Return the name of a preset, whatever its case.

    Raises:
        ValueError: naming those that there are.
    """
    found = name.strip().lower()
    if found not in PRESETS:
        raise ValueError(f"no preset is called {name!r}; there are {', '.join(PRESETS)}")
    return found
