"""What a check is told of the picture that it looks at."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """What the picture was to show."""

    prompt: str
    #: Pixels.
    width: int
    height: int
    #: What a template chose for it, by name.
    attributes: Mapping[str, str] = field(default_factory=dict)
