"""What is known of how a device makes pictures in the least time, and the file in the data folder that keeps it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Protocol, Self

FILE = "tuning.json"
#: How many pictures a call are tried, in this order.
SIZES: Final = (1, 2, 4, 8, 16)
#: The form that a denoiser has when it is loaded.
USUAL: Final = "usual"
#: Calls of a candidate before another is tried, and before it is found to be no faster: other programs make some slow.
#: One that takes hardly longer costs nothing to look at, and a call that others leave alone may come yet.
_CALLS, _CALLS_TO_STOP, _CALLS_IF_NEAR = 2, 4, 8
#: What a candidate has to win, as a share of the time: more pictures cost memory and come later.
_GAIN = 0.03
#: What one may lose and still be near.
_NEAR = 0.05
#: What trials may take longer than the fastest that is known, as a share of the time that all jobs take.
_SHARE = 0.02


@dataclass(frozen=True)
class CallKind:
    """What calls are compared within: one device, what computes on it, and what a step does."""

    device: str
    device_name: str
    dtype: str
    threads: int
    libraries: str
    family: str
    width: int
    height: int
    guided: bool
    scheduler: str


@dataclass(frozen=True)
class Candidate:
    """How a call may be made: how many pictures in it, and in which form the denoiser works."""

    size: int
    form: str = USUAL

    def __str__(self) -> str:
        """Return it as lines of a log and of a report name it."""
        return f"{self.size} a call" if self.form == USUAL else f"{self.size} a call, {self.form}"


@dataclass
class Trial:
    """What the calls of one candidate have shown."""

    calls: int = 0
    #: The fewest that a step took for each picture.
    seconds: float | None = None
    #: What it takes a worker to make the form ready.
    ready_s: float | None = None
    #: How far a pass through the denoiser is from that of one picture in the usual form: the root of the mean square,
    #: as a share of the pass.
    difference: float | None = None
    #: Why it is not tried any more.
    dropped: str | None = None


class Worth(Protocol):
    """What the work that waits repays."""

    def trial(self, candidate: Candidate) -> bool:
        """Tell whether to find out how fast it is."""

    def use(self, candidate: Candidate) -> bool:
        """Tell whether to make it ready, now that it is known to be faster."""


class _NoTrial:
    """What was found out so far."""

    def trial(self, _candidate: Candidate) -> bool:
        return False

    def use(self, _candidate: Candidate) -> bool:
        return True


@dataclass
class Trials:
    """What is known of the calls of one kind."""

    of: dict[Candidate, Trial] = field(default_factory=dict)
    #: The candidate that is being tried: where a worker finds one at its start, that ended the worker before.
    trying: Candidate | None = None
    #: Seconds of all calls, and what of them trials have cost beside the pictures that came of them.
    worked_s: float = 0.0
    spent_s: float = 0.0

    def next(self, sizes: Sequence[int], forms: Sequence[str], worth: Worth | None = None) -> Candidate:
        """Return how to make the next call, where as many jobs wait.

        Sizes are tried from the first on, as long as each takes less time than the one before; then the forms, at the
        size that was fastest. What is not `worth` its trial, or being made ready, is left out.
        """
        return self._next(sizes, forms, worth)[0]

    def is_settled(self, sizes: Sequence[int], forms: Sequence[str]) -> bool:
        """Tell whether the next call is the fastest that there is, and not a trial."""
        return not self._next(sizes, forms, None)[1]

    def _next(self, sizes: Sequence[int], forms: Sequence[str], worth: Worth | None) -> tuple[Candidate, bool]:
        best = Candidate(sizes[0])
        for size in sizes:
            wins = self._wins(candidate := Candidate(size), best)
            if wins is None and (candidate == best or worth is None or worth.trial(candidate)):
                return candidate, True
            if not wins:
                break
            best = candidate
        size = best.size
        for form in forms:
            wins = self._wins(candidate := Candidate(size, form), best)
            if wins is None and (worth is None or worth.trial(candidate)):
                return candidate, True
            if wins and (worth is None or worth.use(candidate)):
                best = candidate
        return best, False

    def _wins(self, candidate: Candidate, best: Candidate) -> bool | None:
        """Tell whether a candidate is faster than the best of those before it; None where a trial has to tell."""
        trial = self.of.get(candidate, Trial())
        if trial.dropped:
            return False
        if trial.seconds is None or trial.calls < _CALLS:
            return None
        fewest = self.seconds(best)
        if candidate == best or fewest is None or trial.seconds <= fewest * (1 - _GAIN):
            return True
        calls = _CALLS_IF_NEAR if trial.seconds <= fewest * (1 + _NEAR) else _CALLS_TO_STOP
        return False if trial.calls >= calls else None

    def seconds(self, candidate: Candidate) -> float | None:
        """Return the fewest that a step took for each picture; None where it was not tried."""
        trial = self.of.get(candidate)
        return None if trial is None else trial.seconds

    @property
    def fastest_s(self) -> float | None:
        """The fewest seconds that a step took for each picture with any candidate."""
        return min((trial.seconds for trial in self.of.values() if trial.seconds is not None), default=None)

    def fastest(self) -> Candidate:
        """Return the best of what was tried: what calls are made by where enough jobs wait."""
        sizes = [candidate.size for candidate in self.of if candidate.form == USUAL] or list(SIZES[:1])
        forms = [candidate.form for candidate in self.of if candidate.form != USUAL]
        return self.next(sorted(sizes), list(dict.fromkeys(forms)), _NoTrial())

    def gain(self, candidate: Candidate) -> float | None:
        """Return how many times as fast it is as one picture in the usual form; None where that is not known."""
        alone, best = self.of.get(Candidate(1)), self.of.get(candidate)
        return alone.seconds / best.seconds if alone and best and alone.seconds and best.seconds else None

    def wants(self, candidate: Candidate) -> bool:
        """Tell whether there is anything to learn of another call of it."""
        trial = self.of.get(candidate, Trial())
        return not trial.dropped and trial.calls < _CALLS_IF_NEAR

    def is_new(self, candidate: Candidate) -> bool:
        """Tell whether no call of it was ever made."""
        return not self.of.get(candidate, Trial()).calls

    def note(self, candidate: Candidate, seconds: float) -> None:
        """Note what a step of a call took for each picture."""
        trial = self.of.setdefault(candidate, Trial())
        trial.calls += 1
        trial.seconds = seconds if trial.seconds is None else min(seconds, trial.seconds)

    def drop(self, candidate: Candidate, reason: str) -> None:
        """Have it never be tried again."""
        self.of.setdefault(candidate, Trial()).dropped = reason

    def as_dict(self) -> dict[str, Any]:
        """Return it as a file keeps it."""
        return {
            "candidates": [asdict(candidate) | asdict(trial) for candidate, trial in self.of.items()],
            "trying": self.trying and asdict(self.trying),
            "worked_s": self.worked_s,
            "spent_s": self.spent_s,
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Self:
        """Return what a file keeps.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: it is of something else.
        """
        found = {
            Candidate(int(row["size"]), str(row["form"])): Trial(
                int(row["calls"]),
                _float(row["seconds"]),
                _float(row["ready_s"]),
                _float(row["difference"]),
                None if row["dropped"] is None else str(row["dropped"]),
            )
            for row in kept["candidates"]
        }
        trying = kept["trying"]
        tried = None if trying is None else Candidate(int(trying["size"]), str(trying["form"]))
        # Files that earlier versions wrote have neither, and name what ended a worker all the same.
        return cls(found, tried, float(kept.get("worked_s", 0.0)), float(kept.get("spent_s", 0.0)))


def _float(kept: Any) -> float | None:
    return None if kept is None else float(kept)


def budget_s(work_s: float) -> float:
    """Return the seconds that trials may cost beside so many of work."""
    return _SHARE * work_s


def read_trials(folder: Path) -> dict[CallKind, Trials]:
    """Return what the file of a data folder keeps; nothing where there is none, or of what cannot be read.

    Raises:
        OSError: if it is there and cannot be opened.
    """
    try:
        kept = json.loads((folder / FILE).read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        # Cut short, or changed by hand; it is found out anew.
        return {}
    found = {}
    for row in kept if isinstance(kept, list) else []:
        try:
            found[CallKind(*(row[part.name] for part in fields(CallKind)))] = Trials.from_dict(row)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return found


def write_trials(folder: Path, trials: Mapping[CallKind, Trials]) -> None:
    """Keep these beside what the file has of other kinds.

    Raises:
        OSError: if it cannot be written.
    """
    kept = read_trials(folder) | dict(trials)
    new = folder / f".{FILE}.new"
    new.write_text(json.dumps([asdict(kind) | known.as_dict() for kind, known in kept.items()], indent=1))
    new.replace(folder / FILE)


def forget_trials(folder: Path) -> None:
    """Have all be found out anew."""
    (folder / FILE).unlink(missing_ok=True)
