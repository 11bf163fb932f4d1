"""Jobs that ask for the very same picture."""

import hashlib
from array import array
from collections.abc import Iterable

import numpy as np

from models.records.batches import PlannedJob


def count_duplicates(jobs: Iterable[PlannedJob]) -> int:
    """Return how many jobs ask for what an earlier one asks for: prompt, seed and every setting.

    Eight bytes of a digest are kept of each job, so that a million of them take 8 MB; two different ones of a million
    share them once in 37 million times (n^2 / 2^65).
    """
    digests = array("Q")
    for job in jobs:
        digests.frombytes(hashlib.blake2b(job.spec.model_dump_json().encode(), digest_size=8).digest())
    return len(digests) - len(np.unique(np.frombuffer(digests, dtype=np.uint64))) if digests else 0
