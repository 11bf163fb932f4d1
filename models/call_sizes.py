"""What is known of how many pictures a call are fastest, and the file in the data folder that keeps it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

FILE = "tuning.json"
#: In the order in which they are tried.
SIZES = (1, 2, 4, 8, 16)
#: Calls of a size before it is gone on from, and before it is found to be no faster: other programs make some slow.
_CALLS, _CALLS_TO_STOP = 2, 4
#: What a larger size has to win, as a share of the time: it costs memory, and its pictures come later.
_GAIN = 0.03


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


@dataclass
class Trials:
    """What is known of the calls of one kind."""

    #: By size: the calls so far, and the fewest seconds that a step took for each picture.
    calls: dict[int, int] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    #: The size that is being tried: where a worker finds one at its start, that ended the worker before.
    trying: int | None = None
    #: The least size that ended a worker.
    fatal: int | None = None

    def next_size(self) -> int:
        """Return the size of the next call, where as many jobs wait."""
        return self._next()[0]

    @property
    def is_settled(self) -> bool:
        """Whether the next size is the fastest, and not one that is tried."""
        return not self._next()[1]

    def _next(self) -> tuple[int, bool]:
        """Return the size of the next call, and whether it is one that is tried."""
        best = SIZES[0]
        for size in SIZES:
            if self.fatal is not None and size >= self.fatal:
                break
            calls = self.calls.get(size, 0)
            if calls < _CALLS:
                return size, True
            if size > best and self.seconds[size] > self.seconds[best] * (1 - _GAIN):
                return (size, True) if calls < _CALLS_TO_STOP else (best, False)
            best = size
        return best, False

    @property
    def gain(self) -> float | None:
        """How many times as fast as one a call the next size is; None where that is not known."""
        best = self.seconds.get(self.next_size())
        return self.seconds[1] / best if best and 1 in self.seconds else None

    def wants(self, size: int) -> bool:
        """Tell whether there is anything to learn of another call of the size."""
        return size in SIZES and self.calls.get(size, 0) < _CALLS_TO_STOP

    def note(self, size: int, seconds: float) -> None:
        """Note what a call measured."""
        self.calls[size] = self.calls.get(size, 0) + 1
        self.seconds[size] = min(seconds, self.seconds.get(size, seconds))

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Self:
        """Return what a file keeps.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: it is of something else.
        """
        if kept["calls"].keys() != kept["seconds"].keys():
            raise ValueError("calls without their seconds")
        trying, fatal = (None if kept[name] is None else int(kept[name]) for name in ("trying", "fatal"))
        return cls(
            {int(size): int(count) for size, count in kept["calls"].items()},
            {int(size): float(seconds) for size, seconds in kept["seconds"].items()},
            trying,
            fatal,
        )


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
    new.write_text(json.dumps([asdict(kind) | asdict(known) for kind, known in kept.items()], indent=1))
    new.replace(folder / FILE)


def forget_trials(folder: Path) -> None:
    """Have all be found out anew."""
    (folder / FILE).unlink(missing_ok=True)
