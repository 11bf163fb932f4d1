"""How many pictures a call: the size that is fastest on this device, found out while pictures are made.

Each size is twice the one before, from one picture on, and is gone on to as long as a step takes a picture less time by
it. Pictures are the same whatever the size, so those of the trials are pictures that were asked for.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.types.identity import Shape
from models.types.job import JobSpec
from worker.engine.devices.device import Device
from worker.engine.threads import number_of_threads
from worker.events import Event
from worker.log import event, log

SIZES = (1, 2, 4, 8, 16)
FILE = "tuning.json"
#: Calls of a size before it is gone on from, and before it is found to be no faster: other programs make some slow.
_CALLS, _CALLS_TO_STOP = 2, 4
#: What a larger size has to win, as a share of the time: it costs memory, and its pictures come later.
_GAIN = 0.03


@dataclass
class Trials:
    """What is known of one kind of call on one device."""

    #: By size: the calls so far, and the fewest seconds that a step took for each picture.
    calls: dict[int, int] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    #: The size that is being tried: where it is there when a worker starts, that ended the one before.
    trying: int | None = None
    #: The least size that ended a worker.
    fatal: int | None = None

    def next_size(self) -> int:
        """Return the size of the next call, where as many jobs wait."""
        best = SIZES[0]
        for size in SIZES:
            if self.fatal is not None and size >= self.fatal:
                break
            calls = self.calls.get(size, 0)
            if calls < _CALLS:
                return size
            if size > best and self.seconds[size] > self.seconds[best] * (1 - _GAIN):
                return size if calls < _CALLS_TO_STOP else best
            best = size
        return best

    def note(self, size: int, seconds: float) -> None:
        """Note what a call measured."""
        self.calls[size] = self.calls.get(size, 0) + 1
        self.seconds[size] = min(seconds, self.seconds.get(size, seconds))

    @property
    def is_settled(self) -> bool:
        """Whether the next size is one that was tried often enough."""
        return self.calls.get(self.next_size(), 0) >= _CALLS

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"calls": self.calls, "seconds": self.seconds, "trying": self.trying, "fatal": self.fatal}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> "Trials":
        """Return what a file keeps.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: it is of something else.
        """
        trying, fatal = (None if kept[name] is None else int(kept[name]) for name in ("trying", "fatal"))
        ended = [size for size in (trying, fatal) if size is not None]
        return cls(
            {int(size): int(count) for size, count in kept["calls"].items()},
            {int(size): float(seconds) for size, seconds in kept["seconds"].items()},
            fatal=min(ended, default=None),
        )


class CallSizes:
    """Keeps the trials of one device, in a file beside those of others."""

    def __init__(self, device: Device, folder: Path, version: str) -> None:
        """Keep them apart from those of another `version` of what makes the pictures."""
        self._device = (device.name, device.describe(), device.dtype_name, f"{number_of_threads()} threads", version)
        self._file = folder / FILE
        self._trials: dict[str, Trials] = {}

    def most(self, spec: JobSpec, family: str) -> int:
        """Return how many jobs like this one the next call should make."""
        return self._of(spec, family).next_size()

    @contextmanager
    def trying(self, spec: JobSpec, family: str, size: int) -> Iterator[None]:
        """Mark a size that was not tried before while the block runs: if that ends the process, it is never again."""
        trials = self._of(spec, family)
        is_new = size > 1 and not trials.calls.get(size)
        if is_new:
            trials.trying = size
            self._write()
        try:
            yield
        finally:
            if is_new:
                trials.trying = None
                self._write()

    def note(self, spec: JobSpec, family: str, size: int, seconds: float) -> None:
        """Note how many seconds a step of a call took for each picture."""
        trials = self._of(spec, family)
        if size not in SIZES or trials.calls.get(size, 0) >= _CALLS_TO_STOP:
            return
        trials.note(size, seconds)
        self._write()
        if trials.is_settled and (best := trials.next_size()) > 1 and best == size:
            log.info(
                "%d pictures a call at %dx%d: %.2f times as fast as one",
                best,
                spec.width,
                spec.height,
                trials.seconds[1] / trials.seconds[best],
                extra=event(Event.CALL_SIZE_FOUND, pictures_a_call=best),
            )

    def _of(self, spec: JobSpec, family: str) -> Trials:
        shape = Shape.of(spec)
        key = ", ".join(
            (
                *self._device,
                family,
                f"{shape.width}x{shape.height}",
                "guided" if shape.guided else "not guided",
                spec.scheduler,
            )
        )
        if key not in self._trials:
            kept = self._read().get(key)
            self._trials[key] = trials = Trials() if kept is None else _trials(kept)
            if trials.fatal is not None:
                log.warning(
                    "%d pictures a call are not tried at %dx%d: a worker ended in its first such call; without %s "
                    "they are",
                    trials.fatal,
                    spec.width,
                    spec.height,
                    self._file,
                    extra=event(Event.CALL_SIZE_FATAL, pictures_a_call=trials.fatal),
                )
        return self._trials[key]

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            log.warning("%s is left alone: %s", self._file, error, extra=event(Event.TUNING_UNUSABLE))
            return {}
        return kept if isinstance(kept, dict) else {}

    def _write(self) -> None:
        kept = self._read() | {key: trials.as_dict() for key, trials in self._trials.items()}
        new = self._file.with_suffix(".new")
        try:
            new.write_text(json.dumps(kept, indent=1))
            new.replace(self._file)
        except OSError as error:
            # It is found out anew by the next worker.
            log.warning("%s cannot be written: %s", self._file, error, extra=event(Event.TUNING_UNUSABLE))


def _trials(kept: Any) -> Trials:
    try:
        return Trials.from_dict(kept)
    except (ValueError, TypeError, KeyError, AttributeError):
        # Changed by hand, or of another version.
        return Trials()
