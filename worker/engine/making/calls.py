"""Making several pictures in one call of the device, and in smaller ones where that comes to nothing."""

import gc
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import psutil

from models.tuning import Candidate
from models.types.errors import DeviceFaultError, GenerationError, NightshiftError
from models.types.identity import Shape
from models.types.job import JobSpec
from models.types.measurement import MemoryReading
from worker.engine.denoising.denoiser import CandidateError
from worker.engine.devices.device import Device
from worker.engine.knobs import with_less_memory
from worker.engine.loading import LoadedCheckpoint
from worker.engine.making.canary import Canary
from worker.engine.making.device_errors import checked, is_out_of_memory, memory_explained
from worker.engine.making.generation import Generation, LatentsError, generate, generate_together
from worker.events import Event
from worker.log import event, log

OnStep = Callable[[int], None]
#: Of the machine's memory, for all else that runs there.
_SHARE_LEFT = 0.1


@dataclass(frozen=True)
class Generated:
    """A picture, and how it came to be."""

    made: Generation
    #: Whether it took a second try.
    again: bool

    def is_of(self, size: int) -> bool:
        """Tell whether it came of one call of so many pictures, as that was meant to be."""
        return self.made.pictures_a_call == size and not self.again


class _AllEndedError(NightshiftError):
    """Every picture of a call has ended."""


class _Steps:
    """Tells each picture of a call of its steps; one that is to end leaves the others as they are."""

    def __init__(self, on_step: Sequence[OnStep]) -> None:
        self._on_step = on_step
        #: Why pictures are to end, by their place in the call.
        self.ended: dict[int, NightshiftError] = {}

    def __call__(self, step: int) -> None:
        for place, on_step in enumerate(self._on_step):
            if place in self.ended:
                continue
            try:
                on_step(step)
            except NightshiftError as error:
                self.ended[place] = error
        if len(self.ended) == len(self._on_step):
            raise _AllEndedError


class Calls:
    """Makes pictures with checkpoints that were loaded one after the other on one device."""

    def __init__(self, device: Device, canary: Canary) -> None:
        self._device = device
        self._canary = canary
        #: How many pictures fitted into memory where more did not, by checkpoint.
        self._fitting: dict[tuple[str, Shape], int] = {}
        # Once: it is read from a file, and there may be no file handle left when pictures are made.
        self._left_bytes = _SHARE_LEFT * psutil.virtual_memory().total

    def most_together(self, loaded: LoadedCheckpoint, spec: JobSpec) -> int | None:
        """Return how many jobs of this kind may go together; None where that is any number."""
        found = loaded.family.most_together(spec, self._device), self._fitting.get((spec.checkpoint, Shape.of(spec)))
        return min((most for most in found if most is not None), default=None)

    def note_memory(self, spec: JobSpec, size: int, before: MemoryReading, lowest: MemoryReading) -> None:
        """Go no further than a call of this size, where one of twice that would leave the machine too little memory.

        A machine swaps before it errs where the device's memory is its own: that call would take minutes, and with it
        whatever else runs.
        """
        if not self._device.shares_memory or before.available is None or lowest.available is None:
            return
        taken = before.available - lowest.available
        if before.available - 2 * taken < self._left_bytes:
            self._fitting[spec.checkpoint, Shape.of(spec)] = size

    def make(
        self, loaded: LoadedCheckpoint, specs: Sequence[JobSpec], on_step: Sequence[OnStep]
    ) -> list[Generated | BaseException]:
        """Return the pictures that `specs` ask for, or why one is none; see `Engine.make_together`.

        Raises:
            DeviceFaultError: if the device no longer computes.
            CandidateError: if it has to be made otherwise than the denoiser was told to.
        """
        if len(specs) == 1:
            return [self._alone(loaded, specs[0], on_step[0])]
        steps = _Steps(on_step)
        try:
            found = checked(self._canary, lambda: generate_together(loaded, self._device, specs, steps))
        except _AllEndedError:
            return [steps.ended[place] for place in range(len(specs))]
        except (DeviceFaultError, CandidateError):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it may be the fault of one of them
            size = len(specs) // 2 if is_out_of_memory(error) else 1
            what = "out of memory" if size > 1 or is_out_of_memory(error) else f"{type(error).__name__}: {error}"
            if is_out_of_memory(error):
                self._fitting[specs[0].checkpoint, Shape.of(specs[0])] = size
        else:
            return [
                steps.ended.get(place) or self._once_more(loaded, each, specs[place], on_step[place])
                for place, each in enumerate(found)
            ]
        log.warning(
            "%d pictures in one call: %s; made with %d a call instead",
            len(specs),
            what,
            size,
            extra=event(Event.CALL_MADE_SMALLER, pictures_a_call=len(specs)),
        )
        # Not within the handler: the error holds what the failed call had in memory.
        gc.collect()
        self._device.empty_cache()
        return self.make_in_parts(loaded, specs, on_step, size)

    def make_in_parts(
        self, loaded: LoadedCheckpoint, specs: Sequence[JobSpec], on_step: Sequence[OnStep], size: int
    ) -> list[Generated | BaseException]:
        """Make so many a call; see `make`."""
        made: list[Generated | BaseException] = []
        for start in range(0, len(specs), size):
            part = slice(start, start + size)
            made += self.make(loaded, specs[part], on_step[part])
        return made

    def _once_more(
        self, loaded: LoadedCheckpoint, made: Generation | GenerationError, spec: JobSpec, on_step: OnStep
    ) -> Generated | BaseException:
        """Return what was made in company; what was not finite there is tried again alone, as any other."""
        if isinstance(made, Generation):
            return Generated(made, again=False)
        return self._alone(loaded, spec, on_step, made) if isinstance(made, LatentsError) else made

    def _alone(
        self, loaded: LoadedCheckpoint, spec: JobSpec, on_step: OnStep, failed: LatentsError | None = None
    ) -> Generated | BaseException:
        """Make one picture; where it `failed` so before, by its second try.

        Raises:
            DeviceFaultError, CandidateError: the error that it ended with was no fault of the job's.
        """
        try:
            return memory_explained(
                self._device,
                lambda: checked(self._canary, lambda: self._generate(loaded, spec, on_step, failed)),
                f"at {spec.width}x{spec.height}: make it smaller",
            )
        except (DeviceFaultError, CandidateError):
            raise
        except BaseException as error:  # noqa: BLE001 - the others of its call go on
            return error

    def _generate(
        self, loaded: LoadedCheckpoint, spec: JobSpec, on_step: OnStep, failed: LatentsError | None
    ) -> Generated:
        """Generate; out of memory or not finite, empty the caches and try once more.

        After a lack of memory with the attention sliced, which takes less.
        """
        try:
            if failed is not None:
                raise failed
            return Generated(generate(loaded, self._device, spec, on_step), again=False)
        except LatentsError:
            sliced, what = False, "NaN or infinity: tried once more with empty caches"
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            sliced, what = True, "out of memory: tried once more with attention slicing"
        # Not within the handler, as in `make`.
        log.warning("%s (%dx%d)", what, spec.width, spec.height, extra=event(Event.ATTEMPT_MADE_AGAIN))
        gc.collect()
        self._device.empty_cache()
        # In the usual form, whose fault it is not then.
        loaded.denoiser.work(Candidate(1), spec.steps)
        with with_less_memory(loaded.pipeline, loaded.knobs) if sliced else nullcontext():
            return Generated(generate(loaded, self._device, spec, on_step), again=True)
