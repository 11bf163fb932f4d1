"""What one worker finds out of its device: how many pictures a call, and which form of the denoiser, are fastest.

Each size is twice the one before, from one picture on, and is gone on to as long as a step takes a picture less time by
it; then the forms are tried at that size. Pictures are the same whatever the size and the form, so those of the trials
are pictures that were asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from models.tuning import FILE, CallKind, Candidate, Trials, read_trials, write_trials
from models.types.job import JobSpec
from worker.engine.denoising.denoiser import Work
from worker.engine.devices.device import Device
from worker.engine.threads import number_of_threads
from worker.events import Event
from worker.log import event, log


def libraries(device: Device) -> str:
    """Return what computes: others may be faster otherwise."""
    found = [f"{library} {version(library)}" for library in ("torch", "diffusers")]
    return ", ".join([*found, *([driver] if (driver := device.driver()) else [])])


class Tuner:
    """Keeps what is found out in a file, beside what others did."""

    def __init__(self, device: Device, folder: Path, libraries: str) -> None:
        self._device = device
        self._folder = folder
        self._libraries = libraries
        self._trials: dict[CallKind, Trials] = {}

    def kind(self, spec: JobSpec, family: str) -> CallKind:
        """Return what calls with jobs like this one are compared within."""
        return CallKind(
            self._device.name,
            self._device.describe(),
            self._device.dtype_name,
            number_of_threads(),
            self._libraries,
            family,
            spec.width,
            spec.height,
            spec.guided,
            spec.scheduler,
        )

    def known(self, kind: CallKind) -> Trials:
        """Return what is known."""
        if kind not in self._trials:
            self._trials[kind] = trials = self._read().get(kind, Trials())
            if trials.trying is not None:
                trials.drop(trials.trying, "ended the worker")
                trials.trying = None
                self._write()
            for candidate, trial in trials.of.items():
                if trial.dropped:
                    self._say_dropped(kind, candidate, trial.dropped)
        return self._trials[kind]

    def note_work(self, kind: CallKind, seconds: float) -> None:
        """Note how long a call took, trial or not, for as long as there is something to find out."""
        self.known(kind).worked_s += seconds
        self._write()

    @contextmanager
    def trying(self, kind: CallKind, candidate: Candidate) -> Iterator[None]:
        """Mark a candidate while the block runs: if that ends the process, it is never tried again."""
        trials = self.known(kind)
        trials.trying = candidate
        self._write()
        try:
            yield
        finally:
            trials.trying = None
            self._write()

    def note(self, kind: CallKind, work: Work, seconds: float, cost_s: float) -> None:
        """Note how many seconds a step of a call took for each picture, and what the call cost beside its pictures."""
        trials, candidate = self.known(kind), work.candidate
        trials.spent_s += cost_s
        trials.note(candidate, seconds)
        if work.made_ready:
            trials.of[candidate].ready_s = work.ready_s
        if work.difference is not None:
            trials.of[candidate].difference = work.difference
        self._write()

    def found(self, kind: CallKind, candidate: Candidate) -> None:
        """Tell people of what is in force from now on."""
        log.info(
            "fastest at %dx%d: %s, %.2f times as fast as one at a time",
            kind.width,
            kind.height,
            candidate,
            self.known(kind).gain(candidate) or 1.0,
            extra=event(Event.TUNING_FOUND, pictures_a_call=candidate.size, form=candidate.form),
        )

    def drop(self, kind: CallKind, candidate: Candidate, reason: str, cost_s: float) -> None:
        """Have a candidate not be tried again, after a call that cost so much."""
        self.known(kind).spent_s += cost_s
        self.known(kind).drop(candidate, reason)
        self._write()
        self._say_dropped(kind, candidate, reason)

    def _say_dropped(self, kind: CallKind, candidate: Candidate, reason: str) -> None:
        log.warning(
            "%s at %dx%d %s and is not tried again; `producer tune --anew` has it tried",
            candidate,
            kind.width,
            kind.height,
            reason,
            extra=event(Event.TUNING_DROPPED, pictures_a_call=candidate.size, form=candidate.form),
        )

    def _read(self) -> dict[CallKind, Trials]:
        try:
            return read_trials(self._folder)
        except OSError as error:
            self._say("read", error)
            return {}

    def _write(self) -> None:
        try:
            write_trials(self._folder, self._trials)
        except OSError as error:
            self._say("written", error)

    def _say(self, what: str, error: OSError) -> None:
        # It is found out anew by the next worker.
        log.warning(
            "%s cannot be %s: %s", self._folder / FILE, what, error.strerror, extra=event(Event.TUNING_UNUSABLE)
        )
