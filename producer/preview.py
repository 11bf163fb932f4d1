"""What a plan would take: time by this machine's own history, and disk."""

import socket
from collections import Counter
from dataclasses import dataclass

from models.database import Session
from models.estimates import estimate, history
from models.job import Kind


@dataclass(frozen=True)
class Preview:
    """Seconds and bytes; None where this machine has made nothing like it."""

    pictures: int
    seconds: float | None
    low_s: float | None
    high_s: float | None
    disk_bytes: float | None


def preview(session: Session, kinds: Counter[Kind]) -> Preview:
    """Return what making so many jobs of each kind would take on this host.

    If one kind of job was never made here, the whole is not measured.
    """
    host = socket.gethostname()
    total = Preview(sum(kinds.values()), 0.0, 0.0, 0.0, 0.0)
    for kind, count in kinds.items():
        found = history(session, host, kind)
        expected = estimate(found.sample, count, found.factor) if found else None
        total = Preview(
            total.pictures,
            _plus(total.seconds, expected.seconds if expected else None),
            _plus(total.low_s, expected.low_s if expected else None),
            _plus(total.high_s, expected.high_s if expected else None),
            _plus(total.disk_bytes, count * found.picture_bytes if found else None),
        )
    return total


def _plus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b
