"""One segment of a training, from its claim to its end."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace

from models.records.trainings.segments import SegmentClaim, SegmentResult
from models.types.errors import DatabaseError, ProcessFaultError
from models.types.exit_status import ExitStatus
from models.types.message import SegmentMessage
from models.types.states import GuardStep, Outcome
from worker.care.breaker import Breaker
from worker.care.cause import cause_of
from worker.care.memory_guard import MemoryGuard
from worker.engine.engine import Engine
from worker.engine.memory import read_memory
from worker.events import Event
from worker.log import about, event, log
from worker.segment.claiming import SegmentClaimer
from worker.segment.ended import EndedSegment
from worker.segment.files import TrainingFiles
from worker.segment.heartbeat import SegmentHeartbeat
from worker.segment.settling import SegmentSettler
from worker.segment.training import SegmentTrainer, Trained
from worker.shutdown import Shutdown


class SegmentRunner:
    """Runs segments on behalf of one boot, on the thread that owns the device."""

    def __init__(
        self,
        claimer: SegmentClaimer,
        engine: Engine,
        trainer: SegmentTrainer,
        settler: SegmentSettler,
        guard: MemoryGuard,
        breaker: Breaker,
        *,
        heartbeat: Callable[[SegmentClaim], SegmentHeartbeat],
        files: Callable[[str], TrainingFiles],
        afterwards: Sequence[Callable[[EndedSegment], object]],
        shutdown: Shutdown,
    ) -> None:
        """Have those be told that are in `afterwards`; `files` are a training's, by its name."""
        self._claimer = claimer
        self._engine = engine
        self._trainer = trainer
        self._settler = settler
        self._guard = guard
        self._breaker = breaker
        self._heartbeat = heartbeat
        self._files = files
        self._afterwards = afterwards
        self._shutdown = shutdown

    def run(self, message: SegmentMessage) -> None:
        """Claim the segment that a message names, train, and record what came of it.

        Raises:
            AttemptStoppedError, ElsewhereError, StorageError: as `SegmentClaimer.claim` does.
            DatabaseError: the same, or what became of it could not be recorded; the device's next boot puts it back.
        """
        if (claim := self._claimer.claim(message)) is None:
            return
        with about(**claim.ids), ExitStack() as stack:
            heartbeat = self._heartbeat(claim)
            trained = self._trained(claim, heartbeat, stack)
            ended = self._settle(claim, trained.result, heartbeat)
            _tell(ended)
            if ended.is_owned and ended.result.state_file is not None:
                self._files(claim.name).keep_state(ended.result.state_file)
                _tell_others(claim, trained)
            elif trained.result.state_file is not None:
                self._forget_state(claim, trained.result.state_file)
        for told in self._afterwards:
            told(ended)
        if self._guard.after_job(read_memory(self._engine.device)) is GuardStep.RESTART:
            self._shutdown.ask(ExitStatus.MEMORY)

    def _trained(self, claim: SegmentClaim, heartbeat: SegmentHeartbeat, stack: ExitStack) -> Trained:
        try:
            _begin(heartbeat, stack)
            trained = self._trainer.train(claim, heartbeat)
        except DatabaseError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a library raises, the row must say so
            return Trained(self._ended_by(claim, error), lambda: None)
        self._count(claim, trained.result)
        return trained

    def _ended_by(self, claim: SegmentClaim, error: BaseException) -> SegmentResult:
        """Return how an error ended the segment: nothing is left of its steps in memory either."""
        self._engine.end_session()
        cause, what = cause_of(error, f"training {claim.name}", claim.ids)
        result = SegmentResult(cause.outcome, cause=cause, error=what)
        return replace(result, outcome=Outcome.LOST) if self._count(claim, result) else result

    def _count(self, claim: SegmentClaim, result: SegmentResult) -> bool:
        return self._breaker.is_one_too_many(f"training {claim.name}", claim.ids, result.cause, result.error)

    def _settle(self, claim: SegmentClaim, result: SegmentResult, heartbeat: SegmentHeartbeat) -> EndedSegment:
        try:
            return EndedSegment(claim, result, self._settler.settle(claim, result, heartbeat.wait))
        except DatabaseError:
            raise
        except BaseException as error:  # noqa: BLE001 - as above
            instead = self._ended_by(claim, error)
            return EndedSegment(claim, instead, self._settler.settle(claim, instead, lambda _: None))

    def _forget_state(self, claim: SegmentClaim, written: str) -> None:
        """Remove a state that nobody goes on from, as that of a worker whose training another one has taken."""
        # The end may be recorded, and the answer to that lost. If not, nobody will name it: its claim is over.
        with suppress(DatabaseError):
            if not self._settler.is_gone_on_from(claim, written):
                self._files(claim.name).forget_state(written)


def _begin(heartbeat: SegmentHeartbeat, stack: ExitStack) -> None:
    try:
        stack.enter_context(heartbeat.beating())
    except Exception as error:
        raise ProcessFaultError(f"the segment was not begun: {type(error).__name__}: {error}") from error


def _tell_others(claim: SegmentClaim, trained: Trained) -> None:
    """Write figures where others read them; that they cannot be written takes nothing from what was learnt."""
    try:
        trained.tell()
    except (ImportError, OSError) as error:
        log.warning(
            "training %s: no figures for TensorBoard: %s", claim.name, error, extra=event(Event.FIGURES_NOT_WRITTEN)
        )


def _tell(ended: EndedSegment) -> None:
    """Write the one line that the log has of a segment."""
    claim, result = ended.claim, ended.result
    fields = {"outcome": result.outcome, "cause": result.cause, "step": result.step} | asdict(result.measured)
    if not ended.is_owned:
        log.warning(
            "training %s: not settled, it is no longer this segment's",
            claim.name,
            extra=event(Event.SEGMENT_ENDED) | fields,
        )
    elif result.outcome is Outcome.SUCCEEDED:
        measured = result.measured
        log.info(
            "training %s: step %s of %d, loss %s, held out %s, %s s a step%s",
            claim.name,
            result.step,
            claim.steps,
            _figure(measured.loss),
            _figure(measured.held_out_loss),
            _figure(measured.step_s),
            f"; LoRA {result.lora}" if result.lora else "",
            extra=event(Event.SEGMENT_DONE) | fields,
        )
    else:
        # What a person asked for is no error, and neither is what the next segment has again.
        is_fault = result.outcome not in (Outcome.CANCELLED, Outcome.LOST)
        log.log(
            logging.ERROR if is_fault else logging.WARNING,
            "training %s %s: %s",
            claim.name,
            result.outcome,
            result.error,
            extra=event(Event.SEGMENT_ENDED) | fields,
        )


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"
