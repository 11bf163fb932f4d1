"""Making calls as is fastest on the device, as far as that is known, and finding it out with them."""

import gc
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from models.settings import Settings
from models.tuning import SIZES, USUAL, CallKind, Candidate, Trial, Trials, budget_s
from models.types.job import JobSpec
from models.types.measurement import MemoryReading
from worker.engine.denoising.denoiser import CandidateError, Denoiser, Work
from worker.engine.devices.device import Device
from worker.engine.loading import LoadedCheckpoint
from worker.engine.making.calls import Calls, Generated, OnStep
from worker.engine.making.canary import Canary
from worker.engine.making.device_errors import is_out_of_memory
from worker.engine.making.tuner import Tuner, libraries


@dataclass(frozen=True)
class Call:
    """What came of a call: for each job a picture, or why there is none."""

    found: list[Generated | BaseException]
    #: The form in which the denoiser worked.
    form: str
    #: Whether it took longer than the next one of its kind will.
    is_cold: bool


@dataclass(frozen=True)
class _Worth:
    """What the jobs of one kind that wait repay."""

    denoiser: Denoiser
    known: Trials
    steps: int
    waiting: Callable[[], int]

    def trial(self, candidate: Candidate) -> bool:
        """Compare what trials have cost, and this one does before its pictures are made, with the budget."""
        fastest_s, trial = self.known.fastest_s, self.known.of.get(candidate, Trial())
        if fastest_s is None:
            return False
        cost_s = self.known.spent_s + self._until_ready_s(candidate, trial)
        if not trial.calls:
            # Two passes of one picture, to compare with.
            cost_s += 2 * (self.known.seconds(Candidate(1)) or fastest_s)
        # What was made counts too: of many small batches each lets little be tried, and all together what they repay.
        return cost_s <= budget_s(self.known.worked_s + self.waiting() * self.steps * fastest_s)

    def use(self, candidate: Candidate) -> bool:
        """Compare what it wins with what it takes to make it ready."""
        trial, usual_s = self.known.of[candidate], self.known.seconds(Candidate(candidate.size))
        until_ready_s = self._until_ready_s(candidate, trial)
        if not until_ready_s or trial.seconds is None or usual_s is None:
            return True
        return self.waiting() * self.steps * (usual_s - trial.seconds) > until_ready_s

    def _until_ready_s(self, candidate: Candidate, trial: Trial) -> float:
        if self.denoiser.is_ready(candidate):
            return 0.0
        return self.denoiser.expected_s(candidate.form) if trial.ready_s is None else trial.ready_s


class TunedCalls:
    """Makes pictures with checkpoints that were loaded one after the other on one device."""

    def __init__(self, device: Device, canary: Canary, settings: Settings) -> None:
        self._device = device
        self._canary = canary
        self._calls = Calls(device, canary)
        self._asked = settings.pictures_a_call
        self._tuner = Tuner(device, settings.data_dir, libraries(device)) if settings.tuning else None
        #: How the next call of a kind is to be made.
        self._planned: dict[CallKind, Candidate] = {}

    def most_together(self, loaded: LoadedCheckpoint, spec: JobSpec, waiting: Callable[[], int]) -> int:
        """Return how many jobs like this one the next call should make, where as many wait."""
        sizes = self._sizes(loaded, spec)
        if self._tuner is None:
            return sizes[-1]
        kind = self._kind(loaded, spec)
        known = self._tuner.known(kind)
        worth = _Worth(loaded.denoiser, known, spec.steps, waiting)
        self._planned[kind] = known.next(sizes, loaded.denoiser.forms, worth)
        return self._planned[kind].size

    def is_tuned(self, loaded: LoadedCheckpoint, spec: JobSpec) -> bool:
        """Tell whether there is nothing left to find out of jobs like this one."""
        if self._tuner is None:
            return True
        known = self._tuner.known(self._kind(loaded, spec))
        return known.is_settled(self._sizes(loaded, spec), loaded.denoiser.forms)

    def note_memory(self, spec: JobSpec, size: int, before: MemoryReading, lowest: MemoryReading) -> None:
        """See `Calls.note_memory`."""
        self._calls.note_memory(spec, size, before, lowest)

    def make(self, loaded: LoadedCheckpoint, specs: Sequence[JobSpec], on_step: Sequence[OnStep]) -> Call:
        """Return what comes of the jobs, which are of one kind and guidance.

        Raises:
            DeviceFaultError: as `Calls.make` does.
        """
        if self._tuner is None:
            return self._usual(loaded, specs, on_step, len(specs))
        kind = self._kind(loaded, specs[0])
        candidate = self._planned.get(kind)
        if candidate is None or candidate.size != len(specs):
            candidate = Candidate(len(specs))
        is_new = candidate != Candidate(1) and self._tuner.known(kind).is_new(candidate)
        work, begun = loaded.denoiser.work(candidate, specs[0].steps, compare=is_new), time.perf_counter()
        try:
            with self._tuner.trying(kind, candidate) if is_new else nullcontext():
                found = self._calls.make(loaded, specs, on_step)
        except CandidateError as error:
            if is_new or not (error.__cause__ and is_out_of_memory(error.__cause__)):
                self._tuner.drop(kind, candidate, str(error), time.perf_counter() - begun)
        else:
            if not self.is_tuned(loaded, specs[0]):
                self._tuner.note_work(kind, time.perf_counter() - begun)
            self._learn(loaded, kind, specs[0], work, found)
            form = candidate.form if work.passes else USUAL
            return Call(found, form, is_cold=work.made_ready or work.is_compared)
        # Not within the handler: the error holds what the failed call had in memory.
        self._canary.require_computing()
        gc.collect()
        self._device.empty_cache()
        made = self._usual(loaded, specs, on_step, len(specs) if candidate.form != USUAL else len(specs) // 2)
        # Their seconds have those of the call that came to nothing in them.
        return replace(made, is_cold=True)

    def _usual(self, loaded: LoadedCheckpoint, specs: Sequence[JobSpec], on_step: Sequence[OnStep], size: int) -> Call:
        """Make so many a call in the usual form."""
        loaded.denoiser.work(Candidate(size), specs[0].steps)
        return Call(self._calls.make_in_parts(loaded, specs, on_step, size), USUAL, is_cold=False)

    def _kind(self, loaded: LoadedCheckpoint, spec: JobSpec) -> CallKind:
        assert self._tuner is not None
        return self._tuner.kind(spec, type(loaded.family).__name__)

    def _sizes(self, loaded: LoadedCheckpoint, spec: JobSpec) -> Sequence[int]:
        """Return how many a call may be tried: what a person has said, or all that fit and may go together."""
        sizes = (self._asked,) if self._asked else SIZES if self._tuner else SIZES[:1]
        most = self._calls.most_together(loaded, spec)
        return sizes if most is None else tuple(size for size in sizes if size <= most) or (most,)

    def _learn(
        self,
        loaded: LoadedCheckpoint,
        kind: CallKind,
        spec: JobSpec,
        work: Work,
        found: Sequence[Generated | BaseException],
    ) -> None:
        assert self._tuner is not None
        known, size = self._tuner.known(kind), work.candidate.size
        extra_s = work.ready_s + work.compare_s
        # Texts of several lengths do not go through the denoiser together.
        if not work.passes or not known.wants(work.candidate):
            return
        made = [each for each in found if isinstance(each, Generated)]
        if any(each.again for each in made) and work.candidate != Candidate(1):
            # Finite when it was made once more, alone and in the usual form.
            self._tuner.drop(kind, work.candidate, "gives NaN or infinity", extra_s)
            return
        if len(made) != len(found) or not all(each.is_of(size) for each in made):
            return
        denoise_s = made[0].made.timings.denoise_s
        assert denoise_s is not None
        sizes, forms = self._sizes(loaded, spec), loaded.denoiser.forms
        was_settled, fastest = known.is_settled(sizes, forms), known.fastest_s
        seconds, lost_s = (denoise_s - extra_s / size) / spec.steps, 0.0
        # What the others are held against is no trial, whatever it takes, nor is a call for which no more jobs waited.
        if fastest is not None and work.candidate == self._planned.get(kind) != Candidate(sizes[0]):
            # By its fewest seconds: what a call took beyond those, other programs cost.
            fewest = min(seconds, known.seconds(work.candidate) or seconds)
            lost_s = max(0.0, fewest - fastest) * spec.steps * size
        self._tuner.note(kind, work, seconds, extra_s + lost_s)
        if known.is_settled(sizes, forms) and not was_settled:
            self._tuner.found(kind, known.next(sizes, forms))
