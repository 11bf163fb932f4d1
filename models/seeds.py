"""Seeds that follow from another one, where a prompt takes more pictures than its seeds were asked for."""

import hashlib

#: Drawn seeds stay short enough to be typed again, and leave room for the seeds that follow.
DRAWN_SEEDS = 2**32


def derived_seed(seed: int, purpose: str) -> int:
    """Return another seed that follows from this one: the same command makes the same pictures.

    It is no neighbour of it, since neighbours are what several pictures of one prompt take.
    """
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % DRAWN_SEEDS
