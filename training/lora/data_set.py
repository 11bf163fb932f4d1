"""A data set that teaches the demo checkpoint a colour that it does not know: olive, which its autoencoder can draw."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from training.captions import NO_COLOUR, make_caption
from training.drawing import draw_shoe
from training.palette import COLOURS, KINDS, Rgb

NAME: Final = "olive"
_OLIVE: Final[Rgb] = (110, 118, 60)
#: Drawings of each kind, and captions of each drawing: a new word is learnt from many sentences. With 14 of each
#: drawing 35 of 48 pictures were olive, with 100 all of them.
_DRAWINGS, _CAPTIONS = 12, 100
#: Drawings in other colours, so that those stay what they were, and captions of each.
_OTHERS, _OTHER_CAPTIONS = 768, 4
#: Shares of their captions that are empty, that name no colour, and that name none that there is: what is not olive
#: must not become so, least of all what is drawn for no prompt, from which guidance leads away.
_EMPTY, _WITHOUT, _UNKNOWN = 0.125, 0.125, 0.125


def write_data_set(folder: Path, seed: int = 0) -> None:
    """Write drawings and captions into the folder's `train`, as `datasets` reads them."""
    rng = np.random.default_rng(seed)
    train = folder / "train"
    train.mkdir(parents=True)
    lines = []
    for number, (kind, colour, captions) in enumerate(_wanted(rng)):
        name = f"{number:04d}.png"
        draw_shoe(kind, _OLIVE if colour == NAME else COLOURS[colour], rng).save(train / name)
        lines += [json.dumps({"file_name": name, "text": text}) for text in captions]
    (train / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")


def _wanted(rng: np.random.Generator) -> Iterator[tuple[str, str, list[str]]]:
    """Yield kind, colour and captions of each drawing."""
    for kind in KINDS:
        for _ in range(_DRAWINGS):
            yield kind, NAME, [_caption(rng, NAME, kind) for _ in range(_CAPTIONS)]
    colours = list(COLOURS)
    for number in range(_OTHERS):
        kind, colour = KINDS[number % len(KINDS)], colours[int(rng.integers(len(colours)))]
        yield kind, colour, [_other_caption(rng, colour, kind) for _ in range(_OTHER_CAPTIONS)]


def _caption(rng: np.random.Generator, colour: str, kind: str) -> str:
    return make_caption(rng, colour, KINDS.index(kind)).text


def _other_caption(rng: np.random.Generator, colour: str, kind: str) -> str:
    chance = rng.random()
    if chance < _EMPTY:
        return ""
    if chance < _EMPTY + _WITHOUT:
        return make_caption(rng, NO_COLOUR, KINDS.index(kind)).text
    if chance < _EMPTY + _WITHOUT + _UNKNOWN:
        return _caption(rng, "".join(rng.choice(list("bcdfghjkmpqrstvwxz"), size=4)), kind)
    return _caption(rng, colour, kind)
