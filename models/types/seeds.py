"""Seeds that follow from another one, where a prompt takes more pictures than its seeds were asked for."""

import hashlib
from collections.abc import Iterator
from itertools import count

#: Drawn seeds stay short enough to be typed again, and leave room for the seeds that follow.
DRAWN_SEEDS = 2**32


def derived_seeds(seed: int, purpose: str) -> Iterator[int]:
    """Yield other seeds that follow from this one, without end: the same command makes the same pictures.

    They are no neighbours of it, since neighbours are what several pictures of one prompt take. They may be taken
    nevertheless, so a caller goes on to the first that is not.
    """
    for number in count(1):
        digest = hashlib.sha256(f"{purpose} {number} {seed}".encode()).digest()
        yield int.from_bytes(digest[:8], "big") % DRAWN_SEEDS
