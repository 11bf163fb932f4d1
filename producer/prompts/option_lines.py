"""Lines of options, as A1111's "prompts from file" script takes them: `--prompt a red shoe --steps 20`."""

import re
import shlex
from itertools import groupby

from producer.prompts.keys import ALIASES, KEYS, canonical_key
from producer.prompts.problems import MOST_QUOTED, visible

#: Two dashes and a letter at the start of a word; a dash between words is text.
_OPTION = re.compile(r"(?<!\S)--[A-Za-z]")
#: No count is longer; Python itself refuses to read thousands of digits.
_MOST_DIGITS = 18
#: Two factors of how many pictures there are.
_COUNTS = ("batch_size", "n_iter")
_KNOWN = (*KEYS, *ALIASES, *_COUNTS)


def has_options(line: str) -> bool:
    """Tell whether a line of a text file is one of options rather than a prompt."""
    return _OPTION.search(line) is not None


def parse_options(line: str) -> dict[str, object]:
    """Return the values of a line of options, by the names of our flags; numbers are still text.

    The line is split as a shell would; an option's value is all words up to the next one. A seed of -1 is one to be
    drawn, as it is there.

    Raises:
        ValueError: with what is wrong and what to do about it.
    """
    try:
        words = shlex.split(line)
    except ValueError:
        raise ValueError("a quote is left open; close it, or put a backslash before an apostrophe") from None
    if not _OPTION.match(words[0]):
        named = next(filter(_OPTION.match, words), "--")
        raise ValueError(f"has options behind words; begin it with --prompt, or take {named[:MOST_QUOTED]} out")
    found: dict[str, str] = {}
    for is_name, group in groupby(words, key=lambda word: _OPTION.match(word) is not None):
        if is_name:
            *bare, last = (word[2:] for word in group)
            if bare:
                raise ValueError(f"--{bare[0][:MOST_QUOTED]} has no value")
            name = canonical_key(last)
            if name not in KEYS and name not in _COUNTS:
                raise ValueError(f"unknown option --{last[:MOST_QUOTED]}; known are {', '.join(_KNOWN)}")
            if name in found:
                raise ValueError(f"--{last} says {name} a second time; keep one")
            found[name] = ""
        else:
            found[name] = " ".join(group)
    for name, value in found.items():
        if not value:
            raise ValueError(f"--{name} has no value")
    if found.get("seed") == "-1":
        del found["seed"]
    return _counted(found)


def _counted(found: dict[str, str]) -> dict[str, object]:
    """Return the values with the two factors as one count."""
    factors = {name: found.pop(name) for name in _COUNTS if name in found}
    values: dict[str, object] = dict(found)
    if not factors:
        return values
    if "count" in found:
        raise ValueError(f"--count and --{next(iter(factors))} both say how many pictures; keep one")
    count = 1
    for name, text in factors.items():
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
            raise ValueError(f"{name}: {visible(text)} is not a whole number")
        count *= int(text)
    return values | {"count": count}
