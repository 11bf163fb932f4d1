"""Captions by a template: `a photo of {prompt}, {colour}`."""

from collections.abc import Mapping
from string import Formatter

PROMPT = "prompt"


class Caption:
    """A template whose names in braces are the prompt and what the prompts' template chose."""

    def __init__(self, template: str) -> None:
        """Read the template.

        Raises:
            ValueError: saying what is wrong with it.
        """
        try:
            self._parts = list(Formatter().parse(template))
        except ValueError as error:
            raise ValueError(f"{error}; braces stand around names, as in {{{PROMPT}}}") from None
        for _, name, form, conversion in self._parts:
            if name == "" or form or conversion:
                raise ValueError(f"braces stand around names alone, as in {{{PROMPT}}}")

    def of(self, prompt: str, attributes: Mapping[str, str]) -> str:
        """Return the caption in one line.

        Raises:
            ValueError: naming what the picture does not have, and what it has.
        """
        values = {**attributes, PROMPT: prompt}
        text = ""
        for literal, name, _, _ in self._parts:
            text += literal
            if name is None:
                continue
            if name not in values:
                raise ValueError(f"no attribute is called {name!r}; there are {', '.join(sorted(values))}")
            text += values[name]
        return " ".join(text.split())
