"""From a claim to a picture that waits to be finished: prepare, make."""

from collections.abc import Callable
from contextlib import ExitStack

from models.records.claims import Claim
from models.types.errors import ProcessFaultError
from models.types.exit_status import ExitStatus
from models.types.states import GuardStep
from worker.attempt.attempt import Attempt
from worker.attempt.breaker import Breaker
from worker.attempt.finishing import Finisher
from worker.attempt.pipeline import Pipeline, through
from worker.care.heartbeat import Heartbeat
from worker.care.in_hand import InHand
from worker.care.limits import UsualTimes
from worker.care.memory_guard import MemoryGuard
from worker.log import about
from worker.shutdown import Shutdown


class AttemptRunner:
    """Runs attempts on behalf of one boot, on the thread that owns the device."""

    def __init__(
        self,
        pipeline: Pipeline,
        finisher: Finisher,
        guard: MemoryGuard,
        breaker: Breaker,
        *,
        in_hand: InHand,
        heartbeat: Callable[[Claim, float | None], Heartbeat],
        usual_times: UsualTimes,
        shutdown: Shutdown,
    ) -> None:
        """Have each attempt's heartbeat made by `heartbeat`, of the claim and the most seconds that its kind takes."""
        self._pipeline = pipeline
        self._finisher = finisher
        self._guard = guard
        self._breaker = breaker
        self._in_hand = in_hand
        self._heartbeat = heartbeat
        self._usual_times = usual_times
        self._shutdown = shutdown

    def run(self, claim: Claim, acknowledge: Callable[[], None]) -> None:
        """Make the claimed job.

        `acknowledge` is called as soon as the next message may come, if that is before the end: the claimed row is the
        record, and the message says no more.

        Raises:
            DatabaseError: what became of the job could not be recorded; if it is still marked as running, the device's
                next boot puts it back.
        """
        with about(**claim.ids):
            try:
                self._make(claim, acknowledge)
            except BaseException:
                # Nobody works on it any more, so whoever looks after the queue may put it back.
                self._in_hand.let_go(claim)
                raise

    def _make(self, claim: Claim, acknowledge: Callable[[], None]) -> None:
        def acknowledge_if_free() -> None:
            # A worker that waits for its disk takes no message that another one could have.
            if self._finisher.is_free:
                acknowledge()

        heartbeat = self._heartbeat(claim, self._usual_times.of(claim.spec))
        with ExitStack() as stack:

            def begin(attempt: Attempt) -> Attempt:
                try:
                    stack.enter_context(heartbeat.beating())
                except Exception as error:
                    raise ProcessFaultError(f"the job was not begun: {type(error).__name__}: {error}") from error
                self._finisher.note_device_busy()
                return attempt

            steps = (begin, *self._pipeline.on_device)
            attempt = self._breaker.count(through(steps, Attempt(claim, heartbeat, acknowledge_if_free)))
            if attempt.measured.total_s is not None:
                self._usual_times.note(claim.spec, attempt.measured.total_s)
            self._finisher.hand_over(attempt, stack.pop_all())
        after = attempt.measured.after
        if after is not None and self._guard.after_job(after) is GuardStep.RESTART:
            self._shutdown.ask(ExitStatus.MEMORY)
