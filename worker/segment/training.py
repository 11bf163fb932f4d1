"""The step of a segment that needs the device: go on from the last state, and take steps."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.checkpoints import public_name
from models.records.trainings.segments import SegmentClaim, SegmentMeasurement, SegmentResult
from models.settings import Settings
from models.training.config import TrainingConfig
from models.training.data_set import CaptionedPicture, DataSet, read_data_set
from models.training.kept_files import state_file
from models.training.pictures import read_picture
from models.types.errors import BadInputError, TrainingError
from models.types.states import Outcome
from worker.care.retrying import Retrier
from worker.engine.engine import Engine
from worker.segment.autoencoder import LOOKED_AT, require_colours_kept
from worker.segment.files import TrainingFiles
from worker.segment.heartbeat import SegmentHeartbeat
from worker.segment.tensorboard import write_figures
from worker.shutdown import Shutdown

if TYPE_CHECKING:
    from worker.engine.training.examples import EncodedExamples
    from worker.engine.training.parts import Parts
    from worker.engine.training.session import TrainingSession


@dataclass(frozen=True)
class Trained:
    """What came of a segment, and what tells others of it once it is recorded."""

    result: SegmentResult
    tell: Callable[[], None]


@dataclass(frozen=True)
class SegmentTrainer:
    """Takes the steps of segments with one engine."""

    engine: Engine
    settings: Settings
    retrier: Retrier
    shutdown: Shutdown

    def train(self, claim: SegmentClaim, heartbeat: SegmentHeartbeat) -> Trained:
        """Take the steps of a segment, and write what came of them; it is not recorded yet.

        A worker that was told to end after this segment ends it after its next step.

        Raises:
            NotFiniteError: as `TrainingSession.train` does; nothing was written.
            TrainingError: the pictures, or the state, cannot be used.
            CheckpointError, GenerationError: as `Engine.session` does.
            CancelledError, LostClaimError, AttemptStoppedError: as `SegmentHeartbeat.advance` does.
        """
        config = TrainingConfig.model_validate(claim.config)
        files = TrainingFiles(self.settings, claim.name)
        begun = time.perf_counter()
        session = self._session(claim, config, files, heartbeat)
        ready_s = time.perf_counter() - begun
        until, ends_early = segment_end(claim.step, config), self.shutdown.asked.is_set
        taken = self.engine.in_session(lambda: session.train(until, heartbeat.advance, ends_early))
        held_out_loss = self.engine.in_session(lambda: session.held_out_loss(heartbeat.advance))
        begun = time.perf_counter()
        # A worker that was told to end before the first step has nothing new to save, nor to compare.
        is_new = taken.step > claim.step
        lora = self._save_lora(session, claim, config, files, taken.step, heartbeat) if is_new else None
        written = state_file(taken.step, claim.segment_id)
        state = session.state()
        self.retrier.until_done(lambda: files.write_state(written, state), heartbeat.wait)
        session.key = _key(claim, written)
        measured = SegmentMeasurement(
            ready_s=ready_s,
            step_s=taken.step_s,
            pictures_a_step=config.pictures_a_step,
            save_s=time.perf_counter() - begun,
            loss=taken.loss,
            held_out_loss=held_out_loss,
            learning_rate=taken.learning_rate,
            rss_peak_bytes=taken.peak.rss,
            device_allocated_peak_bytes=taken.peak.device_allocated,
            device_driver_peak_bytes=taken.peak.device_driver,
        )
        result = SegmentResult(
            Outcome.SUCCEEDED,
            step=taken.step,
            state_file=written,
            revision=session.revision,
            lora=lora,
            measured=measured,
        )
        board = files.tensorboard if config.logging_dir is None else Path(config.logging_dir) / claim.name
        tell = partial(write_figures, board, taken.steps, measured)
        return Trained(result, tell if config.report_to == "tensorboard" else lambda: None)

    def _session(
        self, claim: SegmentClaim, config: TrainingConfig, files: TrainingFiles, heartbeat: SegmentHeartbeat
    ) -> "TrainingSession":
        begin = partial(self._begin, claim, config, files, heartbeat)
        return self.engine.session(_key(claim, claim.state_file), config.model_id, config.mixed_precision, begin)

    def _begin(
        self,
        claim: SegmentClaim,
        config: TrainingConfig,
        files: TrainingFiles,
        heartbeat: SegmentHeartbeat,
        pipeline: Any,
        device: Any,
        revision: str,
    ) -> "TrainingSession":
        from worker.engine.training.examples import EncodedExamples
        from worker.engine.training.parts import Parts
        from worker.engine.training.session import TrainingSession, encode_all

        heartbeat.advance()
        if claim.revision not in (None, revision):
            raise TrainingError(
                f"checkpoint {config.model_id} has other weights than those it began with, {claim.revision}: bring "
                f"them back, and `producer retry {claim.name}`; or train once more by another name"
            )
        state = None if claim.state_file is None else files.read_state(claim.state_file)

        def encoded(parts: Parts) -> tuple[EncodedExamples, EncodedExamples | None]:
            if (kept := files.read_pictures()) is None:
                data = _read(claim.data)
                others = _examples(data.held_out, heartbeat) if data.held_out else None
                learnt, held_out = encode_all(parts, config, _examples(data.learnt, heartbeat), others)
                if config.check_autoencoder and claim.step == 0:
                    _require_drawable(data.learnt, learnt, parts, config, heartbeat)
                kept = learnt.content(), None if held_out is None else held_out.content()
                self.retrier.until_done(partial(files.write_pictures, *kept), heartbeat.wait)
            learnt_content, held_out_content = kept
            return (
                EncodedExamples.of_content(learnt_content),
                None if held_out_content is None else EncodedExamples.of_content(held_out_content),
            )

        return TrainingSession(
            pipeline,
            device,
            config,
            revision,
            encoded=encoded,
            state=state,
            rate_share=claim.rate_share,
            saves_memory=claim.saves_memory,
            memory_sample_s=self.settings.memory_sample_s,
        )

    def _save_lora(
        self,
        session: "TrainingSession",
        claim: SegmentClaim,
        config: TrainingConfig,
        files: TrainingFiles,
        step: int,
        heartbeat: SegmentHeartbeat,
    ) -> str | None:
        if step % config.checkpointing_steps and step % config.validation_steps and step < config.max_train_steps:
            return None
        base = public_name(config.model_id)
        about = {"nightshift_training": claim.name, "nightshift_step": str(step), "nightshift_base": base}
        of_diffusers, of_kohya = session.lora(about)
        write = partial(files.write_lora, step, claim.segment_id, of_diffusers, of_kohya)
        self.retrier.until_done(write, heartbeat.wait)
        return files.lora_name(step)


def _require_drawable(
    pictures: Sequence[CaptionedPicture],
    learnt: "EncodedExamples",
    parts: "Parts",
    config: TrainingConfig,
    heartbeat: SegmentHeartbeat,
) -> None:
    from worker.engine.training.examples import decoded, fitted

    # Spread over all of them: one kind after the other may lie there.
    numbers = range(0, len(pictures), max(1, len(pictures) // LOOKED_AT))
    examples = zip(numbers, _examples([pictures[number] for number in numbers], heartbeat), strict=True)
    require_colours_kept(
        (fitted(example.picture, config.sizes), decoded(learnt.latents[number], parts), example.caption)
        for number, example in examples
    )


def _key(claim: SegmentClaim, state_file: str | None) -> str:
    # The state's name is one segment's: another worker may have taken steps since this one did.
    return f"{claim.uid} {state_file} {claim.rate_share} {claim.saves_memory}"


def segment_end(step: int, config: TrainingConfig) -> int:
    """Return after how many steps in all the segment ends that begins after `step`."""
    marks = (config.segment_steps, config.checkpointing_steps, config.validation_steps)
    return min(config.max_train_steps, *(step - step % mark + mark for mark in marks))


def _read(folder: str) -> DataSet:
    try:
        return read_data_set(Path(folder))
    except BadInputError as error:
        raise TrainingError("; ".join(error.problems)) from error


def _examples(pictures: Sequence[CaptionedPicture], heartbeat: SegmentHeartbeat) -> Iterator[Any]:
    from worker.engine.training.examples import Example

    for one in pictures:
        heartbeat.advance()
        try:
            yield Example(read_picture(one.file), one.caption, one.repeats)
        except BadInputError as error:
            raise TrainingError("; ".join(error.problems)) from error
