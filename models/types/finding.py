"""What a check finds of a picture."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One measurement of a picture, held against its limits."""

    check: str
    #: In the unit that the check's module says; None where there was nothing to measure.
    figure: float | None
    passed: bool
    #: What a person reads: what was seen and where the limit is.
    sentence: str
