"""What one line, picture or `--prompt` asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """Only the values that are named; the rest comes from flags and defaults."""

    #: Counted from 1; None where it comes from no line.
    line: int | None
    #: By names of the flags; a number of a CSV file is still text.
    values: Mapping[str, object]
    #: What a template chose, by the choices' names.
    attributes: Mapping[str, str] = field(default_factory=dict)
    #: The picture that it comes from, if it does.
    origin: str | None = None
    #: The template whose choices were drawn, rather than decided by a seed; the fingerprint has it for the prompt.
    drawn_from: str | None = None
