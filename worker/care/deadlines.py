"""How long a job may take, by what others of its kind took."""

from models.settings import Settings
from models.types.identity import Kind
from models.types.job import JobSpec


class Deadlines:
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
