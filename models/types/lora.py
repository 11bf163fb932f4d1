"""LoRAs that a job asks for: which files, and how much each counts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

#: How much a LoRA counts where nothing is said.
USUAL_SCALE = 1.0
MAX_SCALE = 10.0
MOST = 16
#: A1111's, in a prompt: `<lora:name>`, `<lora:name:0.8>`.
_TAG = re.compile(r"<lora:([^<>\n]*)>")
#: What stands in no name, so that a name can stand in a list, and in a prompt as A1111 has it.
_SIGNS = re.compile(r"[,:<>\x00-\x1f\x7f]")
_SUFFIX = ".safetensors"


@dataclass(frozen=True, order=True)
class Lora:
    """A LoRA as a job names it: a file in a folder of LoRAs without its suffix, a path, or a hub id."""

    name: str
    scale: float = USUAL_SCALE

    def __str__(self) -> str:
        """Return it as flags, prompt files and rows have it."""
        return self.name if self.scale == USUAL_SCALE else f"{self.name}:{self.scale:g}"

    @property
    def stem(self) -> str:
        """The name alone, as A1111 has it."""
        return self.name.rpartition("/")[2].removesuffix(_SUFFIX)


def parse_loras(text: str) -> tuple[Lora, ...]:
    """Return what a list such as `olive:0.8, leather` names, in the order of the names.

    Raises:
        ValueError: saying what is wrong with it.
    """
    found = [_lora(part) for part in text.split(",") if part.strip()]
    names = [each.name for each in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"LoRA {twice} is asked for twice")
    if len(found) > MOST:
        raise ValueError(f"{len(found)} LoRAs are asked for; the most is {MOST}")
    # Sums are rounded by their order: so that the same LoRAs make the same pictures, and are the same in the record.
    return tuple(sorted(found))


def listed(loras: Iterable[Lora]) -> str:
    """Return LoRAs as the list that `parse_loras` reads."""
    return ", ".join(map(str, loras))


def canonical_loras(text: str) -> str:
    """Return a list as rows have it.

    Raises:
        ValueError: as `parse_loras` does.
    """
    return listed(parse_loras(text))


def taken_out(prompt: str) -> tuple[str, str]:
    """Return a prompt without its `<lora:name:scale>`, and the list of those, which may hold what is wrong."""
    tags = _TAG.findall(prompt)
    if not tags:
        return prompt, ""
    # No two blanks where a tag stood, and no comma that separates nothing.
    words = re.sub(r"[ \t]*" + _TAG.pattern, "", prompt)
    return words.strip().removesuffix(",").rstrip(), ", ".join(tags)


def tagged(prompt: str, loras: Iterable[Lora]) -> str:
    """Return a prompt with its LoRAs as A1111 writes them."""
    return " ".join([prompt, *(f"<lora:{each.stem}:{each.scale:g}>" for each in loras)])


def _lora(text: str) -> Lora:
    name, colon, scale = text.strip().partition(":")
    name = name.strip()
    if not name or _SIGNS.search(name):
        raise ValueError(f"{text.strip()!r} names no LoRA; write its file's name, or name:scale")
    if not colon:
        return Lora(_canonical(name))
    try:
        number = float(scale)
    except ValueError:
        raise ValueError(f"LoRA {name}: {scale.strip()!r} is no number; write {name}:0.8, such as") from None
    if not isfinite(number) or abs(number) > MAX_SCALE:
        raise ValueError(f"LoRA {name}: {scale.strip()} is not between -{MAX_SCALE:g} and {MAX_SCALE:g}")
    return Lora(_canonical(name), number)


def _canonical(name: str) -> str:
    return name.removesuffix(_SUFFIX) if name != _SUFFIX else name
