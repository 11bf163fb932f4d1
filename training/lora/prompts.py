"""The prompts that a LoRA for the new colour is judged by: wordings that no caption of its data set has."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from training.lora.data_set import NAME
from training.palette import COLOURS, KINDS
from training.wordings import USUAL

#: Pictures of each wording and kind in the new colour; of the others, one of each colour and kind.
_OF_EACH: Final = 3
_FIRST_SEED: Final = 100


def write_new(file: Path) -> None:
    """Write 48 prompts in the new colour, as `producer compare --prompts` reads them."""
    asked = [wording.format(colour=NAME, kind=kind) for wording in USUAL for kind in KINDS]
    _write(file, (text for text in asked for _ in range(_OF_EACH)))


def write_others(file: Path) -> None:
    """Write 48 prompts in the colours that the checkpoint knows."""
    classes = ((colour, kind) for colour in COLOURS for kind in KINDS)
    # Each kind in each of the wordings.
    spread = ((i + i // len(KINDS), c, k) for i, (c, k) in enumerate(classes))
    _write(file, (USUAL[i % len(USUAL)].format(colour=c, kind=k) for i, c, k in spread))


def _write(file: Path, prompts: Iterator[str]) -> None:
    lines = [json.dumps({"prompt": text, "seed": _FIRST_SEED + number}) for number, text in enumerate(prompts)]
    file.write_text("\n".join(lines), encoding="utf-8")
