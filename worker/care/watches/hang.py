"""Noticing jobs that hang: a thread that does so in the device's driver cannot be ended, so the process ends."""

import os
import threading
from collections.abc import Callable, Sequence

from models.records.attempts import Result, lose
from models.records.claims import Claim
from models.records.database import Database
from models.settings import Settings
from models.types.causes import Cause
from models.types.errors import DatabaseError
from models.types.exit_status import ExitStatus
from models.types.fate import Fate, Tries, fate
from models.types.states import Outcome
from worker.care.retrying import Retrier
from worker.events import Event
from worker.log import event, log


class HangWatch:
    """Watches that what the device is at takes a step now and then."""

    def __init__(self, settings: Settings, retrier: Retrier, give_up: Callable[[str], None]) -> None:
        """Have it given up by `give_up`, which is told why, before the process ends."""
        self._give_up = give_up
        self._settings = settings
        self._retrier = retrier
        self._quiet_s = 0.0
        self._advanced = threading.Event()

    def advance(self) -> None:
        """Note that it gets on."""
        self._advanced.set()

    def look(self) -> None:
        """Look, once a heartbeat; the process ends here if it hangs."""
        # Looks are counted, not time: a process that was frozen for an hour has not hung for one.
        gets_on = self._advanced.is_set() or self._retrier.waiting
        self._quiet_s = 0.0 if gets_on else self._quiet_s + self._settings.heartbeat_s
        self._advanced.clear()
        if self._quiet_s > self._settings.hang_s:
            self._leave(self._quiet_s)

    def _leave(self, quiet_s: float) -> None:
        self._give_up(f"no step for {quiet_s:.0f} s: the device hangs")
        os._exit(ExitStatus.HUNG)


def give_jobs_up(database: Database, claims: Sequence[Claim], tries: Tries, what: str) -> None:
    """Put back jobs that hang, or set them aside."""
    for claim in claims:
        result = Result(Outcome.LOST, cause=Cause.HUNG, error=what)
        is_set_aside = fate(result.outcome, result.cause, claim.failures, claim.losses, tries) is Fate.QUARANTINE
        try:
            with database.writing() as session:
                if not lose(session, claim, result, set_aside=is_set_aside):
                    # It had ended already, or another worker has it.
                    continue
        except DatabaseError as error:
            log.critical(
                "job %d: %s; not recorded: %s", claim.job_id, what, error, extra=event(Event.ATTEMPT_HUNG, **claim.ids)
            )
        else:
            now = "is set aside" if is_set_aside else "went back to the queue"
            log.critical(
                "job %d: %s; it %s, and the worker ends itself",
                claim.job_id,
                what,
                now,
                extra=event(Event.ATTEMPT_HUNG, **claim.ids),
            )
