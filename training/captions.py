"""Endless captions in the manner of product photos, each with the colour and the kind of shoe that it asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.palette import COLOURS, KINDS
from training.vocabulary import (
    BACKGROUND_SHADES,
    BACKGROUNDS,
    BEFORE_BACKGROUND,
    COLOUR_WORDS,
    DETAILS,
    FILLERS,
    FRAMES,
    KIND_WORDS,
    LETTERS,
    MATERIALS,
    OTHER_THINGS,
    PAIRS,
    SHADES,
    SIGNS,
)

#: Label of a caption that names no colour, or no kind.
NO_COLOUR: Final = len(COLOURS)
NO_KIND: Final = len(KINDS)
#: What stands between the parts of a caption.
_SPACE: Final = " "
_SEPARATORS: Final = (", ", ", ", ", ", _SPACE, _SPACE, ". ", " | ", "; ", " - ")


@dataclass(frozen=True)
class Caption:
    """A text with the places of its colour and its kind in the palette, or `NO_COLOUR` and `NO_KIND`."""

    text: str
    colour: int
    kind: int


def make_caption(rng: np.random.Generator, colour: int | str, kind: int) -> Caption:
    """Return a caption that asks for that colour and kind; `NO_COLOUR` and `NO_KIND` ask for none.

    A colour may be a word, which need not be one of the palette's.
    """
    separator = _pick(rng, _SEPARATORS)
    scattered = rng.random() < 0.2
    chunks = _subject(rng, colour, kind) if scattered else [_pick(rng, FRAMES).format(_phrase(rng, colour, kind))]
    # A colour of something else is told from the shoe's by what it stands beside, so it is never torn from that.
    others = int(rng.choice(3, p=(0.3, 0.5, 0.2)))
    # A word after "on white" without a comma would be read as what is white, and a colour by itself as the shoe's.
    # Where no colour is asked for, "pure white" by itself would be the shoe's.
    alone = not scattered and separator != _SPACE and colour != NO_COLOUR
    chunks += [_other(rng, alone=alone) for _ in range(others)]
    chunks += [_pick(rng, DETAILS) for _ in range(rng.integers(0, 4))]
    if rng.random() < 0.6:
        chunks += [_noise(rng) for _ in range(rng.choice((1, 2, 3, 6, 12), p=(0.3, 0.3, 0.2, 0.15, 0.05)))]
    if rng.random() < 0.7:
        rng.shuffle(chunks)
    if not scattered and rng.random() < 0.4:
        # A sentence: where it ends, nothing can be read into "on white".
        chunks[-1] += f"{_pick(rng, (' ', ', ', ', '))}{_background(rng, alone=True)}"
    text = separator.join(chunks)
    if rng.random() < 0.1:
        text += "."
    named = NO_COLOUR if isinstance(colour, str) else colour
    return Caption(text.upper() if rng.random() < 0.1 else text, named, kind)


def any_caption(rng: np.random.Generator) -> Caption:
    """Return a caption with any colour and kind; some name none, and some are empty."""
    if rng.random() < 0.02:
        return Caption("", NO_COLOUR, NO_KIND)
    colour = NO_COLOUR if rng.random() < 0.12 else int(rng.integers(NO_COLOUR))
    kind = NO_KIND if rng.random() < 0.12 else int(rng.integers(NO_KIND))
    return make_caption(rng, colour, kind)


def _subject(rng: np.random.Generator, colour: int | str, kind: int) -> list[str]:
    """Return the words that say what shoe it is: of its colour, of its kind, or both."""
    words = []
    if colour != NO_COLOUR:
        name = _colour_word(rng, colour)
        words.append(f"{_pick(rng, SHADES)} {name}" if rng.random() < 0.2 else name)
    if kind != NO_KIND:
        name = _pick(rng, KIND_WORDS[KINDS[kind]])
        words.append(f"{name}s" if rng.random() < 0.6 else name)
    return words


def _colour_word(rng: np.random.Generator, colour: int | str) -> str:
    if isinstance(colour, str):
        return _pick(rng, COLOUR_WORDS[colour]) if colour in COLOUR_WORDS else colour
    return _pick(rng, COLOUR_WORDS[list(COLOURS)[colour]])


def _phrase(rng: np.random.Generator, colour: int | str, kind: int) -> str:
    """Return what shoe it is as one phrase, the colour before or after the noun."""
    words = _subject(rng, colour, kind)
    if not words:
        return _pick(rng, ("something", "a thing", "an item", "a product"))
    if len(words) == 2 and rng.random() < 0.4:
        return _pick(rng, PAIRS).format(colour=words[0], kind=words[1], material=_pick(rng, MATERIALS))
    if rng.random() < 0.35:
        words.insert(len(words) - 1, _pick(rng, MATERIALS))
    if rng.random() < 0.15:
        words.insert(len(words) - 1, _word(rng))
    return " ".join(words)


def _other(rng: np.random.Generator, *, alone: bool) -> str:
    """Return words that give a colour to something else; with `alone` perhaps to nothing that is named."""
    chance = rng.random()
    if chance < 0.25:
        return _pick(rng, OTHER_THINGS).format(_other_colour(rng))
    if alone and chance < 0.4:
        return f"{_pick(rng, (*BACKGROUND_SHADES, 'all-'))} {_other_colour(rng)}".replace("- ", "-")
    return _background(rng, alone=alone)


def _background(rng: np.random.Generator, *, alone: bool) -> str:
    """Return what stands behind the shoe: "on a plain white wall", "white backdrop", and with `alone` "on white"."""
    colour = _other_colour(rng)
    shade = f"{_pick(rng, BACKGROUND_SHADES)} " if rng.random() < 0.35 else ""
    before = _pick(rng, BEFORE_BACKGROUND)
    if alone and rng.random() < 0.35:
        return f"{before.removesuffix(' a')} {shade}{colour}"
    # A noun that nobody taught stands there too: what is "on a blue something" is not itself blue.
    noun = _word(rng) if rng.random() < 0.3 else _pick(rng, BACKGROUNDS)
    if rng.random() < 0.3 and (alone or noun in BACKGROUNDS):
        before = _word(rng) if rng.random() < 0.5 else ""
    return f"{before} {shade}{colour} {noun}".lstrip()


def _other_colour(rng: np.random.Generator) -> str:
    """Return the colour of something else, which is white as often as not."""
    return "white" if rng.random() < 0.55 else _pick(rng, tuple(COLOURS))


def _noise(rng: np.random.Generator) -> str:
    return _pick(rng, SIGNS) if rng.random() < 0.15 else _word(rng)


def _word(rng: np.random.Generator) -> str:
    """Return a word that means nothing here: known, made of two, random letters, or letters that end like a colour."""
    chance = rng.random()
    if chance < 0.35:
        return _pick(rng, FILLERS)
    if chance < 0.7:
        # The pieces of such a word are those that words of the language have, other than random letters'.
        first, second = _pick(rng, FILLERS), _pick(rng, FILLERS)
        return first[: int(rng.integers(1, len(first) + 1))] + second[int(rng.integers(len(second))) :]
    letters = "".join(rng.choice(list(LETTERS), size=rng.integers(1, 9)))
    if chance < 0.93:
        return letters
    known = _pick(rng, (*COLOURS, "boot", "shoe", "loafer"))
    return f"{letters}{known}" if rng.random() < 0.5 else f"{known}{letters}"


def _pick(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]
