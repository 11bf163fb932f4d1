"""How long a job may take: by the settings, and by what others of its kind took."""

import time

from models.settings import Settings
from models.types.causes import Cause
from models.types.errors import GenerationError
from models.types.identity import Kind
from models.types.job import JobSpec


class Limits:
    """The time of one call, which begins anew where something outside of its jobs was waited for."""

    def __init__(self, settings: Settings, usual_limit_s: float | None, jobs: int) -> None:
        """Give `jobs` up that get on for longer than `usual_limit_s` each, since others of their kind did not."""
        self._deadline_s = settings.deadline_s * jobs
        self._usual_limit_s = None if usual_limit_s is None else usual_limit_s * jobs
        self._in_call = f" for {jobs} pictures in one call" if jobs > 1 else ""
        self._named_s = settings.deadline_s
        self.begin()

    def begin(self) -> None:
        """Begin to count."""
        self._begun = time.monotonic()
        self._spent_s = 0.0

    def spend(self, seconds: float) -> None:
        """Note that the process has run for so long: what it was frozen for does not count as usual."""
        self._spent_s += seconds

    def require(self, step: int) -> None:
        """Raise if the job has had its time.

        Raises:
            GenerationError: saying how far it came.
        """
        took = time.monotonic() - self._begun
        if self._deadline_s and took > self._deadline_s:
            raise GenerationError(
                Cause.DEADLINE,
                f"not done after {took:.0f} s and {step} steps{self._in_call}: make it smaller or give it fewer steps, "
                f"or set NIGHTSHIFT_DEADLINE_S, which is {self._named_s:g}",
            )
        if self._usual_limit_s is not None and self._spent_s > self._usual_limit_s:
            raise GenerationError(
                Cause.SLOW,
                f"not done after {self._spent_s:.0f} s and {step} steps{self._in_call}: others of its kind, with "
                f"NIGHTSHIFT_DEADLINE_TIMES, give it {self._usual_limit_s:.0f} s",
            )


class UsualTimes:
    """Keeps the longest time of each kind of job that this boot has made."""

    def __init__(self, settings: Settings) -> None:
        self._times = settings.deadline_times
        self._shortest_s = settings.hang_s
        self._longest_s: dict[Kind, float] = {}

    def of(self, spec: JobSpec) -> float | None:
        """Return the seconds that a job may take at most; None where none of its kind was made, or all may take long.

        So many times what the slowest took, since a machine that is busy makes any of them slow; and never less than a
        single step may take.
        """
        longest_s = self._longest_s.get(Kind.of(spec))
        return max(self._times * longest_s, self._shortest_s) if longest_s is not None and self._times else None

    def note(self, spec: JobSpec, total_s: float) -> None:
        """Note what a job took that was made."""
        kind = Kind.of(spec)
        self._longest_s[kind] = max(total_s, self._longest_s.get(kind, 0.0))
