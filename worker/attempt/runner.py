"""From claims to pictures that wait to be finished: prepare, make."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from models.records.claims import Claim
from models.types.errors import ProcessFaultError
from models.types.exit_status import ExitStatus
from models.types.states import GuardStep, Outcome
from worker.attempt.attempt import Attempt
from worker.attempt.finishing import Finisher
from worker.attempt.pipeline import Pipeline, through_together
from worker.care.breaker import Breaker
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
        heartbeat: Callable[[Sequence[Claim], float | None], Heartbeat],
        usual_times: UsualTimes,
        shutdown: Shutdown,
    ) -> None:
        """Have each call's heartbeat made by `heartbeat`, of its claims and the most seconds that their kind takes."""
        self._pipeline = pipeline
        self._finisher = finisher
        self._guard = guard
        self._breaker = breaker
        self._in_hand = in_hand
        self._heartbeat = heartbeat
        self._usual_times = usual_times
        self._shutdown = shutdown

    def run(self, claims: Sequence[Claim], acknowledge: Callable[[], None]) -> None:
        """Make the claimed jobs in one call.

        `acknowledge` is called as soon as the next message may come, if that is before the end: the claimed rows are
        the record, and the message says no more.

        Raises:
            DatabaseError: what became of the jobs could not be recorded; where one is still marked as running, the
                device's next boot puts it back.
        """
        with about(**(claims[0].ids if len(claims) == 1 else {"jobs": [claim.job_id for claim in claims]})):
            try:
                self._make(claims, acknowledge)
            except BaseException:
                # Nobody works on them any more, so whoever looks after the queue may put them back.
                for claim in claims:
                    self._in_hand.let_go(claim)
                raise

    def _make(self, claims: Sequence[Claim], acknowledge: Callable[[], None]) -> None:
        def acknowledge_if_free() -> None:
            # A worker that waits for its disk takes no message that another one could have.
            if self._finisher.is_free:
                acknowledge()

        heartbeat = self._heartbeat(claims, self._usual_times.of(claims[0].spec))
        with ExitStack() as stack:

            def begin(attempts: Sequence[Attempt]) -> Sequence[Attempt]:
                try:
                    stack.enter_context(heartbeat.beating())
                except Exception as error:
                    raise ProcessFaultError(f"the job was not begun: {type(error).__name__}: {error}") from error
                self._finisher.note_device_busy()
                return attempts

            steps = (begin, *self._pipeline.on_device)
            begun = [Attempt(claim, heartbeat, acknowledge_if_free) for claim in claims]
            attempts = [self._counted(attempt) for attempt in through_together(steps, begun)]
            for attempt in attempts:
                if attempt.measured.total_s is not None:
                    self._usual_times.note(attempt.claim.spec, attempt.measured.total_s)
            self._finisher.hand_over(attempts, stack.pop_all())
        readings = [attempt.measured.after for attempt in attempts if attempt.measured.after is not None]
        if readings and self._guard.after_job(readings[0]) is GuardStep.RESTART:
            self._shutdown.ask(ExitStatus.MEMORY)

    def _counted(self, attempt: Attempt) -> Attempt:
        """Return the attempt, given back where it is one of too many that failed."""
        what, ids = f"job {attempt.claim.job_id}", {"job": attempt.claim.job_id}
        too_many = self._breaker.is_one_too_many(what, ids, attempt.cause, attempt.error)
        return replace(attempt, outcome=Outcome.LOST) if too_many else attempt
