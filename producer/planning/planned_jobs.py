"""The jobs of a plan: kept small, as many as a target asks for, and looked through for ones that are alike."""

import hashlib
import pickle
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, count, islice

import numpy as np

from models.records.batches import CHUNK, PlannedJob
from models.types.job import derived_seeds

#: The fastest: prompts that are alike shrink to a tenth with it already.
_COMPRESSION = 1


class PlannedJobs:
    """Jobs in the order in which they were added; may be gone through again and again."""

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._last: list[PlannedJob] = []

    def append(self, job: PlannedJob) -> None:
        """Add one job."""
        self._last.append(job)
        if len(self._last) == CHUNK:
            self._packed.append(zlib.compress(pickle.dumps(self._last), _COMPRESSION))
            self._last = []

    def __len__(self) -> int:
        return len(self._packed) * CHUNK + len(self._last)

    def __iter__(self) -> Iterator[PlannedJob]:
        for packed in self._packed:
            # Nobody else had these bytes in hand.
            yield from pickle.loads(zlib.decompress(packed))  # noqa: S301
        yield from self._last


def jobs_for(target: int, jobs: PlannedJobs) -> PlannedJobs:
    """Return `target` jobs with the mix of `jobs`: evenly chosen ones, or all again and again with other seeds."""
    if not jobs or len(jobs) == target:
        return jobs
    chosen = PlannedJobs()
    if target < len(jobs):
        for place, job in enumerate(jobs):
            if (place + 1) * target // len(jobs) > place * target // len(jobs):
                chosen.append(job)
        return chosen
    for job in jobs:
        chosen.append(job)
    taken = {_picture(job) for job in jobs}
    turns = chain.from_iterable(((turn, job) for job in jobs) for turn in count(1))
    for turn, job in islice(turns, target - len(jobs)):
        others = (_with_seed(job, seed) for seed in derived_seeds(job.spec.seed, f"turn {turn}"))
        other = next(other for other in others if _picture(other) not in taken)
        taken.add(_picture(other))
        chosen.append(other)
    return chosen


def _picture(job: PlannedJob) -> int:
    """Return a digest of what makes a picture another one; a million prompts would take hundreds of megabytes."""
    return hash((job.spec.prompt, job.spec.seed))


def _with_seed(job: PlannedJob, seed: int) -> PlannedJob:
    return replace(job, spec=job.spec.model_copy(update={"seed": seed}))


def count_duplicates(jobs: Iterable[PlannedJob]) -> int:
    """Return how many jobs ask for what an earlier one asks for: prompt, seed and every setting.

    Eight bytes of a digest are kept of each job, so that a million of them take 8 MB; two different ones of a million
    share them once in 37 million times (n^2 / 2^65).
    """
    digests = array("Q")
    for job in jobs:
        digests.frombytes(hashlib.blake2b(job.spec.model_dump_json().encode(), digest_size=8).digest())
    return len(digests) - len(np.unique(np.frombuffer(digests, dtype=np.uint64))) if digests else 0
