"""The engine: the weights in memory, switched when a job needs others, and the pictures made with them.

Every method but the constructor runs on the thread that owns the device. Nothing here knows of rows: loads and
pictures come with plain measurements, which the caller records.
"""

import gc
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from models.checkpoints import checkpoint_defaults
from models.settings import Settings
from models.tuning import USUAL
from models.types.errors import CheckpointError
from models.types.identity import Shape, Weights
from models.types.job import JobSpec
from models.types.lora import Lora, listed
from models.types.measurement import LoadMeasurement, Measurement
from worker.engine.checkpoints.local_checkpoint import LocalCheckpoint, find_checkpoint
from worker.engine.devices.device import Device
from worker.engine.loading import LoadedCheckpoint, load_checkpoint, load_plain
from worker.engine.loras.fused import FusedLoras, LoraFiles
from worker.engine.making.calls import Generated
from worker.engine.making.canary import Canary
from worker.engine.making.device_errors import checked, memory_explained
from worker.engine.making.generation import Generation, generate
from worker.engine.making.tuned_calls import TunedCalls
from worker.engine.memory import MemoryWatch, read_memory
from worker.events import Event
from worker.log import event, gigabytes, log

if TYPE_CHECKING:
    # It brings peft, which takes a while, and few workers train.
    from worker.engine.training.session import TrainingSession

_PRECISIONS = {"fp16": torch.float16, "bf16": torch.bfloat16, "no": torch.float32}
_Done = TypeVar("_Done")
#: A picture, and what making it measured.
Made = tuple[Generation, Measurement]


@dataclass
class _Current:
    loaded: LoadedCheckpoint
    load: LoadMeasurement
    #: What was made since the load: the first call of each is untypical (kernels compiled, memory allocated).
    warm: set[tuple[Shape, int, str]]
    loras: FusedLoras


class Engine:
    """Owns the device on behalf of one boot."""

    def __init__(
        self,
        device: Device,
        settings: Settings,
        load: Callable[[LocalCheckpoint, Device, Settings], LoadedCheckpoint] = load_checkpoint,
    ) -> None:
        """Have checkpoints loaded by `load`."""
        self.device = device
        self._settings = settings
        self._load_checkpoint = load
        self._canary = Canary(device)
        self._calls = TunedCalls(device, self._canary, settings)
        self._lora_files = LoraFiles(settings.places_of_loras)
        self._current: _Current | None = None
        #: The first that were loaded, which a pinned worker keeps to.
        self._pinned: Weights | None = None
        #: The training that has the device in place of what pictures are made with.
        self._session: TrainingSession | None = None
        self._thread: int | None = None
        self._made_any = False

    def use(self, weights: Weights) -> LoadMeasurement:
        """Have `weights` loaded and warmed up; return what that measured, the same object until another load.

        Raises:
            CheckpointError: if they cannot be loaded, or others are pinned.
            GenerationError: if they cannot make the warm-up's picture, out of memory included.
            DeviceFaultError: if the device does not compute.
        """
        self._own_thread()
        if self._current is not None and self._current.load.weights == weights:
            return self._current.load
        self._require_usable(weights)
        return self._load(weights)

    def use_loras(self, loras: Sequence[Lora]) -> float | None:
        """Have these LoRAs and no others be in use; return the seconds that took, None where they were already.

        Raises:
            LoraError: naming the file that cannot be used; none is in use then.
            GenerationError: out of memory; the same.
        """
        self._own_thread()
        assert self._current is not None
        begun, current = time.perf_counter(), self._current
        if not memory_explained(
            self.device,
            lambda: current.loras.use(loras, self._lora_files),
            "while LoRAs were added: close other applications",
        ):
            return None
        self._current.loaded.prompt_embeddings.forget()
        self.device.synchronize()
        switch_s = time.perf_counter() - begun
        said = listed(loras) or "none"
        log.info("LoRAs in use: %s (%.3f s)", said, switch_s, extra=event(Event.LORAS_USED, switch_s=switch_s))
        return switch_s

    def make(self, spec: JobSpec, on_step: Callable[[int], None]) -> Made:
        """Return the picture that `spec` asks for, made alone; see `make_together`.

        Raises:
            GenerationError: if it cannot become a picture, out of memory included.
            DeviceFaultError: if the device did not make it.
        """
        (made,) = self.make_together([spec], [on_step])
        if isinstance(made, BaseException):
            raise made
        return made

    def most_together(self, spec: JobSpec, waiting: Callable[[], int]) -> int:
        """Return how many jobs like this one the next call should make, where as many wait.

        `waiting` counts the jobs that do, which have to repay what is tried.
        """
        if self._current is None:
            # The last checkpoint could not be loaded: so the next one's job is to find out whether its can.
            return 1
        # Claims come before the load that they need, which is of the same family: there is but one.
        return self._calls.most_together(self._current.loaded, spec, waiting)

    def is_tuned(self, spec: JobSpec) -> bool:
        """Tell whether all was tried that may make jobs like this one in less time."""
        assert self._current is not None
        return self._calls.is_tuned(self._current.loaded, spec)

    def _kernels(self, spec: JobSpec, size: int, form: str = USUAL) -> tuple[Shape, int, str]:
        """Return what a call of so many pictures needs kernels for."""
        return Shape.of(spec), size if self.device.compiles_each_size else 1, form

    def make_together(
        self, specs: Sequence[JobSpec], on_step: Sequence[Callable[[int], None]]
    ) -> list[Made | BaseException]:
        """Return the pictures that `specs` ask for, made with the weights in memory, and what making them measured.

        They are of one kind and guidance. Each has a function of its own that is called with the number of steps done;
        what it raises ends that picture alone, and the call where all have ended. What comes to nothing together is
        made in smaller calls, so that it is no picture's fault that it was in company. In place of a picture stands why
        it is none: a GenerationError, or what its function raised.

        Raises:
            DeviceFaultError: if the device did not make them.
        """
        self._own_thread()
        assert self._current is not None
        current, first_of_boot = self._current, not self._made_any
        with MemoryWatch(self.device, self._settings.memory_sample_s) as memory:
            call = self._calls.make(current.loaded, specs, on_step)
            self._canary.require_computing()
            for each in call.found:
                if isinstance(each, Generated):
                    self._canary.require_made(each.made.picture, each.made.given)
        kernels = self._kernels(specs[0], len(specs), call.form)
        cold = call.is_cold or kernels not in current.warm
        made: list[Made | BaseException] = []
        for spec, each in zip(specs, call.found, strict=True):
            if isinstance(each, BaseException):
                made.append(each)
                continue
            measured = _measured(each, spec, memory, first_of_boot=first_of_boot, cold=cold)
            made.append((each.made, replace(measured, form=call.form, loras=current.loras.used or None)))
            current.warm.add(kernels)
            self._made_any = True
        if all(isinstance(each, Generated) and each.is_of(len(specs)) for each in call.found):
            self._calls.note_memory(specs[0], len(specs), memory.before, memory.peak)
        return made

    def session(
        self, key: str, checkpoint: str, precision: str, begin: Callable[[Any, Device, str], "TrainingSession"]
    ) -> "TrainingSession":
        """Return the training that is called `key`, and that has the device from now on, in place of all else.

        Unless it had that already, `begin` makes it of the checkpoint's pipeline, the device, and the checkpoint's
        revision. The weights are in `precision`: fp16, bf16, no, which is float32, or auto, which is the device's own;
        float32 instead of fp16 where the device does not compute in that.

        Raises:
            CheckpointError: if the checkpoint cannot be loaded.
            GenerationError: out of memory.
            Whatever `begin` raises.
        """
        self._own_thread()
        if self._session is not None and self._session.key == key:
            return self._session
        self._require_usable(Weights(checkpoint))
        local = find_checkpoint(checkpoint)
        self._let_go()
        asked = _PRECISIONS.get(precision, self.device.dtype)
        dtype = asked if self.device.computes_in_float16 or asked != torch.float16 else torch.float32
        said = "" if dtype == asked else f" in {dtype}, since {self.device.name} does not compute in {asked}"
        log.info("loading %s for a training%s …", local.name, said, extra=event(Event.LOAD_BEGUN))

        def load() -> "TrainingSession":
            # Plain: what makes pictures the same in any company has no use here.
            return begin(load_plain(local, self.device, dtype, self._settings), self.device, local.revision)

        what = f"while {local.name} was loaded for a training: close other applications"
        self._session = session = memory_explained(self.device, load, what)
        session.key = key
        return session

    def in_session(self, work: Callable[[], _Done]) -> _Done:
        """Do work of the training that has the device, and return what that returns.

        Raises:
            GenerationError: out of memory.
            DeviceFaultError: the device does not compute.
            Whatever `work` raises.
        """
        return memory_explained(
            self.device, lambda: checked(self._canary, work), "in a training: a smaller train_batch_size needs less"
        )

    def end_session(self) -> None:
        """Let a training go, whose state another session goes on from."""
        if self._session is not None:
            self._let_go()

    def reload(self) -> LoadMeasurement | None:
        """Load the same weights anew, warm-up included, so that nothing which the old pipeline held stays.

        A training is let go instead, which its next segment begins anew, and nothing is returned. After an error
        nothing is loaded.

        Raises:
            CheckpointError, GenerationError: as `use` does.
        """
        self._own_thread()
        if self._session is not None:
            self._let_go()
            return None
        assert self._current is not None
        return self._load(self._current.load.weights)

    def _own_thread(self) -> None:
        # Two threads at work on Metal at once crash the process, so the first caller stays the only one.
        if self._thread is None:
            self._thread = threading.get_ident()
            self.device.select()
        if self._thread != threading.get_ident():
            raise RuntimeError("the device belongs to another thread")

    def _require_usable(self, weights: Weights) -> None:
        if self._settings.pin_checkpoint and self._pinned is not None and weights != self._pinned:
            raise CheckpointError(
                f"this worker is pinned to {self._pinned.checkpoint} and refuses {weights.checkpoint}: "
                "NIGHTSHIFT_PIN_CHECKPOINT=false lets it switch"
            )
        self._settings.require_allowed(weights.checkpoint)

    def _let_go(self) -> None:
        # The old weights go first: two checkpoints at once may not fit. Pipelines refer to themselves.
        self._current = self._session = None
        gc.collect()
        self.device.empty_cache()

    def _load(self, weights: Weights) -> LoadMeasurement:
        local = find_checkpoint(weights.checkpoint)
        self._let_go()
        log.info("loading %s from %s …", local.name, local.path, extra=event(Event.LOAD_BEGUN))
        before = read_memory(self.device)
        begun = time.perf_counter()
        loaded = memory_explained(
            self.device,
            lambda: self._load_checkpoint(local, self.device, self._settings),
            f"while loading {local.name}: close other applications",
        )
        self.device.synchronize()
        load_s = time.perf_counter() - begun
        log.info(
            "loaded %s (%s) in %.2f s: %s, %s",
            local.name,
            _short(local.revision),
            load_s,
            self.device.name,
            self.device.dtype_name,
            extra=event(Event.LOAD_DONE, checkpoint=local.name, revision=local.revision, load_s=load_s),
        )
        spec = warm_up_spec(local.name, self._settings)
        begun = time.perf_counter()
        memory_explained(
            self.device,
            lambda: checked(self._canary, lambda: warm_up(loaded, self.device, spec)),
            f"in the warm-up at {spec.width}x{spec.height}: close other applications",
        )
        self._canary.require_computing()
        warmup_s = time.perf_counter() - begun
        after = read_memory(self.device)
        log.info(
            "warmed up in %.2f s (%d steps at %dx%d); memory %s",
            warmup_s,
            spec.steps,
            spec.width,
            spec.height,
            gigabytes(after.rss),
            extra=event(Event.WARM_UP_DONE, warmup_s=warmup_s, warmup_steps=spec.steps, rss_bytes=after.rss),
        )
        load = LoadMeasurement(
            weights=weights,
            revision=local.revision,
            knobs=loaded.knobs,
            load_s=load_s,
            warmup_s=warmup_s,
            warmup_steps=spec.steps,
            before=before,
            after=after,
        )
        self._canary.forget_last()
        loras = FusedLoras(loaded.family.lora_parts(loaded.pipeline))
        self._current = _Current(loaded, load, {self._kernels(spec, 1)}, loras)
        self._pinned = self._pinned or weights
        return load


def _measured(
    generated: Generated, spec: JobSpec, memory: MemoryWatch, *, first_of_boot: bool, cold: bool
) -> Measurement:
    made = generated.made
    assert made.timings.denoise_s is not None
    return Measurement(
        first_of_boot=first_of_boot,
        # A second try comes after caches were emptied and takes longer: its pace is not that of the load.
        cold=cold or generated.again,
        timings=made.timings,
        steps_per_s=spec.steps / made.timings.denoise_s,
        pictures_a_call=made.pictures_a_call,
        made_again=generated.again,
        decoded_again=made.decoded_again,
        prompt_tokens=made.prompt_tokens,
        prompt_cut=made.prompt_cut,
        memory_pressure=memory.pressure,
        before=memory.before,
        peak=memory.peak,
        after=memory.after,
    )


def _short(revision: str) -> str:
    return revision.removeprefix("sha256:")[:10]


_PROMPT = "a photo"


def warm_up_spec(checkpoint: str, settings: Settings) -> JobSpec:
    """Return a job of the size that most have, with few steps."""
    usual = checkpoint_defaults(checkpoint)
    return JobSpec(
        prompt=_PROMPT,
        seed=0,
        steps=min(settings.warmup_steps, usual.steps),
        guidance=usual.guidance,
        width=usual.width,
        height=usual.height,
        scheduler=usual.scheduler,
        checkpoint=checkpoint,
    )


def warm_up(loaded: LoadedCheckpoint, device: Device, spec: JobSpec) -> None:
    """Make the picture of `spec` through the same code as any other, and throw it away.

    Raises:
        GenerationError: if it cannot be made.
    """
    generate(loaded, device, spec, lambda _step: None)
