"""The engine: the weights in memory, switched when a job needs others, and the pictures made with them.

Every method but the constructor runs on the thread that owns the device. Nothing here knows of rows: loads and
pictures come with plain measurements, which the caller records.
"""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from models.causes import Cause
from models.errors import CheckpointError, GenerationError
from models.job import JobSpec, Weights
from models.measurement import LoadMeasurement, Measurement
from models.settings import Settings
from worker.devices.device import Device
from worker.generation import Generation, generate
from worker.loading import LoadedCheckpoint, load_checkpoint
from worker.local_checkpoint import find_checkpoint
from worker.log import event, gigabytes, log
from worker.memory import MemoryWatch, read_memory
from worker.warm_up import warm_up, warm_up_spec


@dataclass
class _Current:
    loaded: LoadedCheckpoint
    load: LoadMeasurement
    #: Sizes generated since the load: the first of each is untypical (kernels compiled, memory allocated).
    warm_sizes: set[tuple[int, int]]


class Engine:
    """Owns the device on behalf of one boot."""

    def __init__(self, device: Device, settings: Settings) -> None:
        self.device = device
        self._settings = settings
        self._current: _Current | None = None
        self._thread: int | None = None
        self._made_any = False

    def use(self, weights: Weights) -> LoadMeasurement:
        """Have `weights` loaded and warmed up; return what that measured, the same object until another load.

        Raises:
            CheckpointError: if they cannot be loaded, or others are pinned.
            GenerationError: if they cannot make the warm-up's picture, out of memory included.
        """
        self._own_thread()
        if self._current is not None and self._current.load.weights == weights:
            return self._current.load
        if self._current is not None and self._settings.pin_checkpoint:
            raise CheckpointError(
                f"this worker is pinned to {self._current.loaded.name} and refuses {weights.checkpoint}: "
                "NIGHTSHIFT_PIN_CHECKPOINT=false lets it switch"
            )
        self._settings.require_allowed(weights.checkpoint)
        return self._load(weights)

    def make(self, spec: JobSpec, on_step: Callable[[int], None]) -> tuple[Generation, Measurement]:
        """Return the picture that `spec` asks for, made with the weights in memory, and what making it measured.

        Raises:
            GenerationError: if it cannot become a picture, out of memory included.
        """
        self._own_thread()
        assert self._current is not None
        current, size = self._current, (spec.width, spec.height)
        first_of_boot, cold = not self._made_any, size not in current.warm_sizes
        with (
            self._memory_explained(f"at {spec.width}x{spec.height}: make it smaller"),
            MemoryWatch(self.device, self._settings.memory_sample_s) as memory,
        ):
            made, again = self._generate(current.loaded, spec, on_step)
        current.warm_sizes.add(size)
        self._made_any = True
        assert made.timings.denoise_s is not None
        return made, Measurement(
            first_of_boot=first_of_boot,
            # A second try comes after caches were emptied and takes longer: its pace is not that of the load.
            cold=cold or again,
            timings=made.timings,
            steps_per_s=spec.steps / made.timings.denoise_s,
            made_again=again,
            decoded_again=made.decoded_again,
            prompt_tokens=made.prompt_tokens,
            prompt_cut=made.prompt_cut,
            before=memory.before,
            peak=memory.peak,
            after=memory.after,
        )

    def _generate(
        self, loaded: LoadedCheckpoint, spec: JobSpec, on_step: Callable[[int], None]
    ) -> tuple[Generation, bool]:
        """Generate; out of memory, empty the caches and try once more with the attention sliced, which takes less."""
        try:
            return generate(loaded, self.device, spec, on_step), False
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            log.warning(
                "out of memory at %dx%d: tried once more with attention slicing",
                spec.width,
                spec.height,
                extra=event("attempt.sliced"),
            )
        # Not within the handler: the error holds what the failed try had in memory.
        gc.collect()
        self.device.empty_cache()
        loaded.pipeline.enable_attention_slicing()
        try:
            return generate(loaded, self.device, spec, on_step), True
        finally:
            if not self._settings.attention_slicing:
                loaded.pipeline.disable_attention_slicing()

    def reload(self) -> LoadMeasurement:
        """Load the same weights anew, warm-up included, so that nothing which the old pipeline held stays.

        After an error nothing is loaded.

        Raises:
            CheckpointError, GenerationError: as `use` does.
        """
        self._own_thread()
        assert self._current is not None
        weights, self._current = self._current.load.weights, None
        gc.collect()
        return self._load(weights)

    @contextmanager
    def _memory_explained(self, where_and_remedy: str) -> Iterator[None]:
        """Turn what the device says when its memory runs out into a cause of its own."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            self.device.empty_cache()
            raise GenerationError(
                Cause.OUT_OF_MEMORY, f"out of memory {where_and_remedy}, or NIGHTSHIFT_ATTENTION_SLICING=true"
            ) from error

    def _own_thread(self) -> None:
        # Two threads at work on Metal at once crash the process, so the first caller stays the only one.
        if self._thread is None:
            self._thread = threading.get_ident()
            self.device.select()
        if self._thread != threading.get_ident():
            raise RuntimeError("the device belongs to another thread")

    def _load(self, weights: Weights) -> LoadMeasurement:
        local = find_checkpoint(weights.checkpoint)
        # The old weights go first: two checkpoints at once may not fit.
        self._current = None
        self.device.empty_cache()
        log.info("loading %s from %s …", local.name, local.path, extra=event("load.begun"))
        before = read_memory(self.device)
        begun = time.perf_counter()
        with self._memory_explained(f"while loading {local.name}: close other applications"):
            loaded = load_checkpoint(local, self.device, self._settings)
        self.device.synchronize()
        load_s = time.perf_counter() - begun
        log.info(
            "loaded %s (%s) in %.2f s: %s, %s",
            local.name,
            _short(local.revision),
            load_s,
            self.device.name,
            self.device.dtype_name,
            extra=event("load.done", checkpoint=local.name, revision=local.revision, load_s=load_s),
        )
        spec = warm_up_spec(local.name, self._settings)
        begun = time.perf_counter()
        with self._memory_explained(f"in the warm-up at {spec.width}x{spec.height}: close other applications"):
            warm_up(loaded, self.device, spec)
        warmup_s = time.perf_counter() - begun
        after = read_memory(self.device)
        log.info(
            "warmed up in %.2f s (%d steps at %dx%d); memory %s",
            warmup_s,
            spec.steps,
            spec.width,
            spec.height,
            gigabytes(after.rss),
            extra=event("warm_up.done", warmup_s=warmup_s, warmup_steps=spec.steps, rss_bytes=after.rss),
        )
        load = LoadMeasurement(
            weights=weights,
            revision=local.revision,
            attention_slicing=self._settings.attention_slicing,
            load_s=load_s,
            warmup_s=warmup_s,
            warmup_steps=spec.steps,
            before=before,
            after=after,
        )
        self._current = _Current(loaded, load, {(spec.width, spec.height)})
        return load


def _is_out_of_memory(error: BaseException) -> bool:
    # torch.OutOfMemoryError is CUDA's; MPS and the CPU's allocator raise plain RuntimeErrors.
    return isinstance(error, MemoryError) or any(
        phrase in str(error) for phrase in ("out of memory", "can't allocate memory", "not enough memory")
    )


def _short(revision: str) -> str:
    return revision.removeprefix("sha256:")[:10]
