"""How many pictures a call: the size that is fastest on this device, found out while pictures are made.

Each size is twice the one before, from one picture on, and is gone on to as long as a step takes a picture less time by
it. Pictures are the same whatever the size, so those of the trials are pictures that were asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from models.call_sizes import FILE, CallKind, Trials, read_trials, write_trials
from models.types.job import JobSpec
from worker.engine.devices.device import Device
from worker.engine.threads import number_of_threads
from worker.events import Event
from worker.log import event, log


def libraries() -> str:
    """Return what computes: others may be faster with other sizes."""
    return ", ".join(f"{library} {version(library)}" for library in ("torch", "diffusers"))


class CallSizes:
    """Keeps what one worker finds out of its device, in a file beside what others did."""

    def __init__(self, device: Device, folder: Path, libraries: str) -> None:
        self._device = device
        self._folder = folder
        self._libraries = libraries
        self._trials: dict[CallKind, Trials] = {}

    def known(self, spec: JobSpec, family: str) -> Trials:
        """Return what is known of calls that make jobs like this one."""
        kind = CallKind(
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
        if kind not in self._trials:
            self._trials[kind] = trials = self._read().get(kind, Trials())
            if trials.trying is not None:
                trials.fatal, trials.trying = min(trials.trying, trials.fatal or trials.trying), None
                self._write()
            if trials.fatal is not None:
                log.warning(
                    "%d pictures a call are not tried at %dx%d: a worker ended in its first such call; `producer tune "
                    "--anew` has them tried again",
                    trials.fatal,
                    spec.width,
                    spec.height,
                    extra=event(Event.CALL_SIZE_FATAL, pictures_a_call=trials.fatal),
                )
        return self._trials[kind]

    @contextmanager
    def trying(self, spec: JobSpec, family: str, size: int) -> Iterator[None]:
        """Mark a size that was not tried before while the block runs: if that ends the process, it is never again."""
        trials = self.known(spec, family)
        if size == 1 or trials.calls.get(size):
            yield
            return
        trials.trying = size
        self._write()
        try:
            yield
        finally:
            trials.trying = None
            self._write()

    def note(self, spec: JobSpec, family: str, size: int, seconds: float) -> None:
        """Note how many seconds a step of a call took for each picture."""
        trials = self.known(spec, family)
        if not trials.wants(size):
            return
        was_settled = trials.is_settled
        trials.note(size, seconds)
        self._write()
        if trials.is_settled and not was_settled:
            log.info(
                "%d pictures a call at %dx%d are fastest: %.2f times as fast as one",
                trials.next_size(),
                spec.width,
                spec.height,
                trials.gain,
                extra=event(Event.CALL_SIZE_FOUND, pictures_a_call=trials.next_size()),
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
