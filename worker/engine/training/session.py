"""A training that has the device: weights, pictures and state in its memory, from one segment to the next."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.training.config import TrainingConfig
from models.types.measurement import MemoryReading
from worker.engine.devices.device import Device
from worker.engine.memory import MemoryWatch
from worker.engine.training.examples import EncodedExamples, Example, encode
from worker.engine.training.parts import Parts
from worker.engine.training.saving import diffusers_content, kohya_content
from worker.engine.training.trainer import StepFigures, Trainer


@dataclass(frozen=True)
class StepsTaken:
    """What steps measured that were taken at one go."""

    step: int
    #: Means over the steps; None where none was taken.
    loss: float | None
    #: Seconds of a step without the first since the session began, which is untypical; None where there was no other.
    step_s: float | None
    learning_rate: float | None
    peak: MemoryReading
    #: Those of each step.
    steps: Sequence[StepFigures]


class TrainingSession:
    """Begun for one training; whatever else needs the device ends it, and its state goes on in another one."""

    def __init__(
        self,
        pipeline: Any,
        device: Device,
        config: TrainingConfig,
        revision: str,
        *,
        encoded: Callable[[Parts], tuple[EncodedExamples, EncodedExamples | None]],
        state: bytes | None,
        rate_share: float,
        saves_memory: bool,
        memory_sample_s: float,
    ) -> None:
        """Have pictures to learn from, and those that are held out, be given by `encoded`, and go on from `state`.

        `revision` is of the pipeline's checkpoint.
        """
        #: By which another segment knows that it can go on in this session.
        self.key = ""
        self.revision = revision
        self._device = device
        self._config = config
        self._memory_sample_s = memory_sample_s
        parts = Parts.of(pipeline)
        learnt, held_out = encoded(parts)
        # It is as large as what is trained, and not needed any more.
        pipeline.vae = None
        parts = parts.without_autoencoder()
        device.empty_cache()
        self._trainer = Trainer(parts, learnt, config, held_out, rate_share=rate_share, saves_memory=saves_memory)
        if state is not None:
            self._trainer.resume(state)
        self._is_cold = True

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return self._trainer.step

    def train(self, until: int, after_batch: Callable[[], None], ends_early: Callable[[], bool]) -> StepsTaken:
        """Take steps until so many were taken in all, or it is to end early; raises as `Trainer.train` does."""
        figures: list[StepFigures] = []
        ends: list[float] = []

        def note(step: StepFigures) -> None:
            self._device.synchronize()
            ends.append(time.perf_counter())
            figures.append(step)

        begun = time.perf_counter()
        with MemoryWatch(self._device, self._memory_sample_s) as memory:
            self._trainer.train(until, note, ends_early, after_batch)
        moments = ends if self._is_cold else [begun, *ends]
        self._is_cold = self._is_cold and not ends
        return StepsTaken(
            step=self._trainer.step,
            loss=sum(one.loss for one in figures) / len(figures) if figures else None,
            step_s=(moments[-1] - moments[0]) / (len(moments) - 1) if len(moments) > 1 else None,
            learning_rate=figures[-1].learning_rate if figures else None,
            peak=memory.peak,
            steps=figures,
        )

    def held_out_loss(self, each: Callable[[], None]) -> float | None:
        """Return it as `Trainer.held_out_loss` does."""
        return self._trainer.held_out_loss(each)

    def state(self) -> bytes:
        """Return what another session goes on from."""
        return self._trainer.state()

    def lora(self, about: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return what was learnt so far as files' content, in diffusers' layout and in kohya's.

        `about` goes into their headers.
        """
        adapters = self._trainer.adapters
        return diffusers_content(adapters, about), kohya_content(adapters, self._config, about)


def encode_all(
    parts: Parts, config: TrainingConfig, learnt: Iterable[Example], held_out: Iterable[Example] | None
) -> tuple[EncodedExamples, EncodedExamples | None]:
    """Return both kinds of pictures as a training takes them; None where none are held out.

    They are taken one by one, since photos are large.

    Raises:
        ValueError: there is none of a kind.
    """
    return (
        encode(learnt, parts, config.sizes, mirrored=config.random_flip),
        None if held_out is None else encode(held_out, parts, config.sizes, mirrored=False),
    )
