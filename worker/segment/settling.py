"""The step that ends a segment: what came of it is named in the row, and the training goes on, waits, or has ended."""

from collections.abc import Callable

from models.records.attempts import Ended, Recorded
from models.records.database import Database
from models.records.trainings.segments import (
    SegmentClaim,
    SegmentResult,
    advance,
    fail,
    lose_segment,
    try_again,
)
from models.records.trainings.trainings import require_training
from models.records.trainings.validation import add_validation
from models.settings import Settings
from models.training.config import TrainingConfig
from models.types.causes import Cause
from models.types.errors import LostClaimError
from models.types.fate import Fate, fate
from models.types.states import Outcome
from worker.care.retrying import Retrier, wait_before_retry

#: Times in a row that the rates are halved where a loss is not finite.
_HALVINGS = 5


class SegmentSettler:
    """Writes what became of segments."""

    def __init__(self, database: Database, settings: Settings, retrier: Retrier) -> None:
        self._database = database
        self._settings = settings
        self._retrier = retrier

    def settle(self, claim: SegmentClaim, result: SegmentResult, wait: Callable[[float], None]) -> bool:
        """Record the end, as late as it takes, with `wait` between two tries; False where the claim was lost.

        Raises:
            DatabaseError: the worker was told to end before it worked.
            CancelledError, AttemptStoppedError: as `wait` does.
        """
        # Once for all tries: an earlier one whose answer was lost is known by it.
        ended = Ended.now()

        def write() -> Recorded:
            return self._write(claim, result, ended)

        try:
            return bool(self._retrier.until_done(write, wait))
        except LostClaimError:
            # So it looks to the heartbeat, too, where an earlier try was recorded and its answer lost.
            return bool(self._retrier.until_done(write))

    def is_gone_on_from(self, claim: SegmentClaim, state_file: str) -> bool:
        """Tell whether the record has it that the training goes on from that state.

        Raises:
            DatabaseError: the record cannot be read.
        """
        with self._database.reading() as session:
            return require_training(session, claim.name).state_file == state_file

    def _write(self, claim: SegmentClaim, result: SegmentResult, ended: Ended) -> Recorded:
        config = TrainingConfig.model_validate(claim.config)
        becomes = fate(result.outcome, result.cause, claim.failures, claim.losses, self._settings.tries)
        with self._database.writing() as session:
            if result.outcome is Outcome.SUCCEEDED:
                recorded = advance(session, claim, result, ended)
                if recorded is Recorded.NOW and result.lora is not None:
                    add_validation(session, claim.training_id, config, result.lora)
                return recorded
            if result.cause is Cause.NOT_FINITE and claim.failures < _HALVINGS:
                half = claim.rate_share / 2
                return try_again(session, claim, result, ended, failed=True, rate_share=half)
            if result.cause is Cause.OUT_OF_MEMORY and claim.may_save_memory:
                return try_again(session, claim, result, ended, saves_memory=True)
            wait_s = wait_before_retry(self._settings.retry_s, claim.failures)
            match becomes:
                case Fate.SETTLE:
                    return fail(session, claim, result, ended)
                case Fate.POSTPONE:
                    return try_again(session, claim, result, ended, failed=True, wait_s=wait_s)
                case Fate.GIVE_BACK:
                    return try_again(session, claim, result, ended)
                case _:
                    aside = becomes is Fate.QUARANTINE
                    return lose_segment(session, claim, result, ended, set_aside=aside)
