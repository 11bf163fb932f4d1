"""Names of colours: what each looks like, and which one a prompt asks for.

The names are in `colours.csv`, a line for each shade: sRGB, and words beside the name that mean the same. A line more
makes a name known, or a name wider.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Set
from functools import cache
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

#: Things of any product photo that have a colour of their own, which is not the subject's.
_OTHER_THINGS = frozenset(
    """
    accents backdrop background board box canvas cove cyclorama details floor light lighting lining logo paper pedestal
    plinth room scene screen seamless setting shadow sheet shelf sky space stand stitching stripes studio surface
    surroundings sweep table tabletop trim void wall
    """.split()  # noqa: SIM905 - a list of words is read more easily as text
)
#: Words behind which a colour is that of what the subject stands on, before or beside.
_BESIDE = frozenset(
    ("against", "alongside", "atop", "before", "behind", "beside", "near", "on", "onto", "over", "under", "upon")
)
_BESIDE_OF_TWO = (["front", "of"], ["next", "to"])
_ARTICLES = frozenset(("a", "all", "an", "bright", "clean", "plain", "pure", "soft", "solid", "the"))
#: Words that may stand between a colour and the next one of the same thing: black and white.
_AND = frozenset(("and", "&"))
#: How many words behind a colour its thing may stand.
_REACH = 2
#: Words, and the marks that end what stands together.
_WORD = re.compile(r"&|[^\W_]+|[,.;:|!?()]")


class Colours:
    """The table: shades in CIELAB, and the name of each."""

    def __init__(self, table: Path) -> None:
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.names: list[str] = list(dict.fromkeys(row["name"] for row in rows))
        rgb = np.array([[[int(row[channel]) for channel in ("red", "green", "blue")] for row in rows]], dtype=np.uint8)
        #: (n, 3) in CIELAB.
        self.shades: NDArray[np.float64] = rgb2lab(rgb)[0]
        self.name_of_shade = [row["name"] for row in rows]
        self._of_shade = np.array([self.names.index(name) for name in self.name_of_shade])
        #: Words that mean a name; of several words, joined by a space.
        self._meaning: dict[str, str] = {name: name for name in self.names}
        for row in rows:
            self._meaning |= {also.replace("-", " "): row["name"] for also in row["also"].split()}

    def shares(self, lab: NDArray[np.float64]) -> dict[str, float]:
        """Return for each name the share of the colours (n, 3) in CIELAB that are nearest to one of its shades."""
        nearest = np.linalg.norm(lab[:, None] - self.shades[None], axis=2).argmin(axis=1)
        counts = np.bincount(self._of_shade[nearest], minlength=len(self.names))
        return dict(zip(self.names, (counts / max(1, len(lab))).tolist(), strict=True))

    def asked(self, prompt: str, attributes: Mapping[str, str], parts: Iterable[str] = ()) -> list[str]:
        """Return the colours that the subject was to have: an attribute's called colour, else the prompt's first.

        `parts` are words of parts of the subject, which have a colour of their own.
        """
        others = _OTHER_THINGS.union(parts)
        for name, value in attributes.items():
            if name.lower() in ("colour", "color", "colours", "colors") and (found := self._found(value)):
                return found
        return self._found(prompt, others)

    def _found(self, text: str, others: Set[str] | None = None) -> list[str]:
        """Return the first colours of the text that stand together; with `others`, the first of none of these."""
        words = _WORD.findall(text.lower())
        place = 0
        while place < len(words):
            name, length = self._named(words, place)
            if name is None:
                place += 1
                continue
            end, names = place + length, [name]
            while end + 1 < len(words) and words[end] in _AND and (more := self._named(words, end + 1))[0]:
                names.append(str(more[0]))
                end += 1 + more[1]
            if others is None or not _of_another_thing(words, place, end, others):
                return list(dict.fromkeys(names))
            place = end
        return []

    def _named(self, words: list[str], place: int) -> tuple[str | None, int]:
        """Return the name that the words at a place mean, and how many words that are."""
        for length in (2, 1):
            name = self._meaning.get(" ".join(words[place : place + length]))
            if name is not None:
                return name, min(length, len(words) - place)
        return None, 0


def _of_another_thing(words: list[str], start: int, end: int, others: Set[str]) -> bool:
    behind = takewhile(str.isalnum, words[end : end + _REACH])
    if not others.isdisjoint(behind):
        return True
    before = [word for word in words[max(0, start - 4) : start] if word not in _ARTICLES]
    return before[-1:] != [] and (before[-1] in _BESIDE or before[-2:] in _BESIDE_OF_TWO)


@cache
def colours() -> Colours:
    """Return the table that comes with this package."""
    return Colours(Path(__file__).with_name("colours.csv"))
