r"""A1111's syntax in prompts: `(word)`, `(word:1.3)` and `[word]` weigh words, `BREAK` begins a new part.

As A1111 defines it (modules/prompt_parser.py): round brackets multiply the weight by 1.1, or by the number behind a
colon, square ones divide it by 1.1; they nest, and one that is never closed counts to the end. `\(`, `\)`, `\[`, `\]`
and `\\` are the characters themselves. Words that change over the steps, `[a:b:0.5]` and `[a|b]`, stand as they are.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: What one bracket of either kind does.
_STEP = 1.1
#: A weight below this would lead away from the word, which negative prompts are for.
_LEAST = 0.0
_BREAK = re.compile(r"\s*+\bBREAK\b\s*+")
#: Square brackets that hold a colon or a bar: words that change over the steps.
_SCHEDULED = re.compile(r"(?<!\\)\[[^\[\]\\:|]*+[:|][^\[\]]*+\]")
_NUMBER = re.compile(r":\s*+([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))\s*+\)")
_AND = re.compile(r"\bAND\b")
_EXTRA = re.compile(r"<(?:lyco|hypernet):[^<>\n]*+>")
_SIGNS = frozenset("()[]\\")


@dataclass(frozen=True)
class Fragment:
    """Words of one weight; 1 is what a word has by itself."""

    text: str
    weight: float


#: One part of a prompt, which the text encoder sees by itself.
Part = tuple[Fragment, ...]


def parse_prompt(text: str) -> tuple[Part, ...]:
    """Return the parts of a prompt, of which there is one where no BREAK stands; each has a fragment at least."""
    return tuple(_fragments(part) for part in _BREAK.split(text))


def has_syntax(text: str) -> bool:
    """Tell whether a prompt may be more than words."""
    return not _SIGNS.isdisjoint(text) or _BREAK.search(text) is not None


def left_as_words(text: str) -> Iterator[str]:
    """Yield what a prompt has of A1111's syntax that is not understood here, in a few words each."""
    if _AND.search(text):
        yield "AND, which would mix two prompts"
    if _SCHEDULED.search(text):
        yield "words that would change over the steps, as in [a:b:0.5]"
    if _EXTRA.search(text):
        yield "a network, as in <hypernet:name:1>"
    if any(float(found[1]) < _LEAST for found in _NUMBER.finditer(text)):
        yield "weights below 0, which count as 0"


def _fragments(text: str) -> Part:
    words: list[str] = []
    weights: list[float] = []
    #: Which bracket was opened, and how many pieces there were before it.
    opened: list[tuple[str, int]] = []

    def multiply(start: int, factor: float) -> None:
        weights[start:] = [weight * factor for weight in weights[start:]]

    place = 0
    while place < len(text):
        character = text[place]
        scheduled = _SCHEDULED.match(text, place) if character == "[" else None
        number = _NUMBER.match(text, place) if character == ":" and opened and opened[-1][0] == "(" else None
        if character == "\\" and text[place + 1 : place + 2] in _SIGNS and place + 1 < len(text):
            piece, place = text[place + 1], place + 2
        elif scheduled:
            piece, place = scheduled[0], scheduled.end()
        elif number:
            multiply(opened.pop()[1], max(_LEAST, float(number[1])))
            place = number.end()
            continue
        elif character in "([":
            opened.append((character, len(words)))
            place += 1
            continue
        elif character in ")]" and opened and opened[-1][0] == {")": "(", "]": "["}[character]:
            multiply(opened.pop()[1], _STEP if character == ")" else 1 / _STEP)
            place += 1
            continue
        else:
            end = place + 1
            while end < len(text) and text[end] not in "()[]\\:":
                end += 1
            piece, place = text[place:end], end
        words.append(piece)
        weights.append(1.0)
    for bracket, start in reversed(opened):
        multiply(start, _STEP if bracket == "(" else 1 / _STEP)
    merged: list[Fragment] = []
    for word, exact in zip(words, weights, strict=True):
        # So that a step up and a step down again is none.
        weight = round(exact, 6)
        if merged and merged[-1].weight == weight:
            merged[-1] = Fragment(merged[-1].text + word, weight)
        else:
            merged.append(Fragment(word, weight))
    return tuple(merged) or (Fragment("", 1.0),)
