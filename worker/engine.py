"""The engine: the one checkpoint in memory, switched when a job names another, and the pictures it makes.

Every method but the constructor runs on the thread that owns the device.
"""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from models.boots import record_load
from models.checkpoints import checkpoint_defaults
from models.database import Database
from models.errors import CheckpointError, GenerationError
from models.job import JobSpec
from models.measurement import Measurement
from models.settings import Settings
from worker.device import Device
from worker.generation import Generation, generate
from worker.loading import LoadedCheckpoint, load_checkpoint
from worker.local_checkpoint import find_checkpoint
from worker.log import gigabytes, log
from worker.memory import MemoryWatch, read_memory

_WARMUP_PROMPT = "a photo"


@dataclass
class _Current:
    loaded: LoadedCheckpoint
    load_id: int
    #: Sizes generated since the load: the first of each is untypical (kernels compiled, memory allocated).
    warm_sizes: set[tuple[int, int]]


class Engine:
    """Owns the device on behalf of one boot."""

    def __init__(
        self,
        device: Device,
        settings: Settings,
        database: Database,
        boot_id: int,
        until_done: Callable[[Callable[[], int]], int] = lambda action: action(),
    ) -> None:
        """Own it; `until_done` does again what the database did not take."""
        self.device = device
        self._settings = settings
        self._database = database
        self._boot_id = boot_id
        self._until_done = until_done
        self._current: _Current | None = None
        self._thread: int | None = None
        self._made_any = False

    def use(self, checkpoint: str) -> int:
        """Have `checkpoint` loaded and warmed up, and return its load's number; nothing to do if it is.

        Raises:
            CheckpointError: if it cannot be loaded, or another one is pinned.
            GenerationError: if it cannot make the warm-up's picture, out of memory included.
        """
        self._own_thread()
        if self._current is not None and self._current.loaded.name == checkpoint:
            return self._current.load_id
        if self._current is not None and self._settings.pin_checkpoint:
            raise CheckpointError(
                f"this worker is pinned to {self._current.loaded.name} and refuses {checkpoint}: "
                "NIGHTSHIFT_PIN_CHECKPOINT=false lets it switch"
            )
        self._settings.require_allowed(checkpoint)
        self._current = self._load(checkpoint)
        return self._current.load_id

    def make(self, spec: JobSpec, on_step: Callable[[int], None]) -> tuple[Generation, Measurement]:
        """Return the picture that `spec` asks for and what making it measured.

        Raises:
            GenerationError: if it cannot become a picture, out of memory included.
        """
        self._own_thread()
        assert self._current is not None
        size = (spec.width, spec.height)
        measured = Measurement(first_of_boot=not self._made_any, cold=size not in self._current.warm_sizes)
        with (
            self._memory_explained(f"at {spec.width}x{spec.height}: make it smaller"),
            MemoryWatch(self.device, self._settings.memory_sample_s) as memory,
        ):
            made = self._generate(self._current.loaded, spec, on_step)
        self._current.warm_sizes.add(size)
        self._made_any = True
        measured.before, measured.peak, measured.after = memory.before, memory.peak, memory.after
        measured.encode_s, measured.denoise_s, measured.decode_s = made.encode_s, made.denoise_s, made.decode_s
        measured.check_s, measured.decoded_again = made.check_s, made.decoded_again
        measured.prompt_tokens, measured.prompt_cut = made.prompt_tokens, made.prompt_cut
        measured.steps_per_s = spec.steps / made.denoise_s
        return made, measured

    def _generate(self, loaded: LoadedCheckpoint, spec: JobSpec, on_step: Callable[[int], None]) -> Generation:
        """Generate; out of memory, empty the caches and try once more with the attention sliced, which takes less."""
        try:
            return generate(loaded, self.device, spec, on_step)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            log.warning("out of memory at %dx%d: tried once more with attention slicing", spec.width, spec.height)
        # Not within the handler: the error holds what the failed try had in memory.
        gc.collect()
        self.device.empty_cache()
        loaded.pipeline.enable_attention_slicing()
        try:
            return generate(loaded, self.device, spec, on_step)
        finally:
            if not self._settings.attention_slicing:
                loaded.pipeline.disable_attention_slicing()

    @property
    def revision(self) -> str:
        """The revision of the checkpoint in memory."""
        assert self._current is not None
        return self._current.loaded.revision

    def reload(self) -> None:
        """Load the same checkpoint anew, warm-up included, so that nothing which the old pipeline held stays.

        After an error nothing is loaded.

        Raises:
            CheckpointError, GenerationError: as `use` does.
        """
        self._own_thread()
        assert self._current is not None
        name, self._current = self._current.loaded.name, None
        gc.collect()
        self._current = self._load(name)

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
                "out_of_memory", f"out of memory {where_and_remedy}, or NIGHTSHIFT_ATTENTION_SLICING=true"
            ) from error

    def _own_thread(self) -> None:
        # Two threads at work on Metal at once crash the process, so the first caller stays the only one.
        if self._thread is None:
            self._thread = threading.get_ident()
            self.device.select()
        if self._thread != threading.get_ident():
            raise RuntimeError("the device belongs to another thread")

    def _load(self, name: str) -> _Current:
        local = find_checkpoint(name)
        # The old weights go first: two checkpoints at once may not fit.
        self._current = None
        self.device.empty_cache()
        log.info("loading %s from %s …", name, local.path)
        before = read_memory(self.device)
        begun = time.perf_counter()
        with self._memory_explained(f"while loading {name}: close other applications"):
            loaded = load_checkpoint(local, self.device, self._settings)
        self.device.synchronize()
        load_s = time.perf_counter() - begun
        log.info(
            "loaded %s (%s) in %.2f s: %s, %s",
            name,
            _short(local.revision),
            load_s,
            self.device.name,
            self.device.dtype_name,
            extra={"checkpoint": name, "revision": local.revision, "load_s": load_s},
        )
        spec = self._warmup_spec(name)
        begun = time.perf_counter()
        with self._memory_explained(f"in the warm-up at {spec.width}x{spec.height}: close other applications"):
            generate(loaded, self.device, spec, lambda _step: None)
        warmup_s = time.perf_counter() - begun
        after = read_memory(self.device)
        log.info(
            "warmed up in %.2f s (%d steps at %dx%d); memory %s",
            warmup_s,
            spec.steps,
            spec.width,
            spec.height,
            gigabytes(after.rss),
            extra={"warmup_s": warmup_s, "warmup_steps": spec.steps, "rss_bytes": after.rss},
        )

        def record() -> int:
            with self._database.writing() as session:
                return record_load(
                    session,
                    self._boot_id,
                    checkpoint=name,
                    revision=local.revision,
                    load_s=load_s,
                    warmup_s=warmup_s,
                    warmup_steps=spec.steps,
                    before=before,
                    after=after,
                )

        load_id = self._until_done(record)
        return _Current(loaded, load_id, {(spec.width, spec.height)})

    def _warmup_spec(self, name: str) -> JobSpec:
        """A throw-away generation of the size that most jobs have, through the same code."""
        usual = checkpoint_defaults(name)
        steps = min(self._settings.warmup_steps, usual.steps)
        return JobSpec(
            prompt=_WARMUP_PROMPT,
            seed=0,
            steps=steps,
            guidance=usual.guidance,
            width=usual.width,
            height=usual.height,
            scheduler=usual.scheduler,
            checkpoint=name,
        )


def _is_out_of_memory(error: BaseException) -> bool:
    # torch.OutOfMemoryError is CUDA's; MPS and the CPU's allocator raise plain RuntimeErrors.
    return isinstance(error, MemoryError) or any(
        phrase in str(error) for phrase in ("out of memory", "can't allocate memory", "not enough memory")
    )


def _short(revision: str) -> str:
    return revision.removeprefix("sha256:")[:10]
