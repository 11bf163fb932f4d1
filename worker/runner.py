"""From a message to a settled attempt: pass the gate, claim, then one step after the other."""

import time
from collections.abc import Callable

from models.attempts import Claim
from models.database import Database
from models.errors import DatabaseError
from models.exit_status import ExitStatus
from models.message import JobMessage
from models.settings import Settings
from models.states import GuardStep
from worker.attempt import Attempt, ended_by
from worker.attempt_log import tell
from worker.claiming import Claimer
from worker.gate import Gate
from worker.heartbeat import Heartbeat
from worker.log import about
from worker.making import Maker
from worker.memory_guard import MemoryGuard
from worker.patience import Patience
from worker.saving import Saver
from worker.settling import Settler
from worker.shutdown import Shutdown


class AttemptRunner:
    """Runs attempts, one at a time, on behalf of one boot."""

    def __init__(
        self,
        gate: Gate,
        claimer: Claimer,
        maker: Maker,
        saver: Saver,
        settler: Settler,
        guard: MemoryGuard,
        *,
        database: Database,
        settings: Settings,
        shutdown: Shutdown,
        patience: Patience,
    ) -> None:
        self._gate = gate
        self._claimer = claimer
        self._steps: tuple[Callable[[Attempt], Attempt], ...] = (maker.prepare, maker.make, saver.save, settler.settle)
        self._settler = settler
        self._guard = guard
        self._database = database
        self._settings = settings
        self._shutdown = shutdown
        self._patience = patience
        self._last_end: float | None = None

    def run(self, message: JobMessage) -> None:
        """Make the message's job, or drop the message if its job is not to be had.

        Raises:
            AttemptStoppedError: the worker was told to end before the job was claimed.
            DatabaseError: what became of the job could not be recorded; if it is still marked as running, the device's
                next boot puts it back.
        """
        if self._gate.pass_through():
            # What the device waited for was a person.
            self._last_end = None
        begun = time.perf_counter()
        claim = self._claimer.claim(message)
        if claim is None:
            return
        with about(**claim.ids):
            self._run(claim, self._gap(claim, begun))

    def _run(self, claim: Claim, gap_s: float | None) -> None:
        with Heartbeat(self._database, claim, self._settings, self._shutdown, self._patience).beating() as heartbeat:
            try:
                attempt = self._through_steps(Attempt(claim, heartbeat, gap_s))
                if attempt.is_owned is None:
                    attempt = self._settler.settle(attempt)
            finally:
                self._last_end = time.perf_counter()
        tell(attempt)
        after = attempt.measured.after
        if after is not None and self._guard.after_job(after) is GuardStep.RESTART:
            self._shutdown.ask(ExitStatus.MEMORY)

    def _through_steps(self, attempt: Attempt) -> Attempt:
        """Take the steps; the first error ends the attempt, and leaves it to be settled."""
        for step in self._steps:
            try:
                attempt = step(attempt)
            except DatabaseError:
                raise
            except BaseException as error:  # noqa: BLE001 - whatever a library raises, the row must say so
                return ended_by(attempt, error)
        return attempt

    def _gap(self, claim: Claim, begun: float) -> float | None:
        """Seconds since the attempt before, None if the device was not waited for."""
        gap = None if self._last_end is None else begun - self._last_end
        if gap is None or claim.queue_wait_s is None:
            return None
        return gap if claim.queue_wait_s >= gap else None
