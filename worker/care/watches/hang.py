"""Noticing jobs that hang: a thread that does so in the device's driver cannot be ended, so the process ends."""

import os
import threading
from collections.abc import Sequence

from models.records.attempts import Result, lose
from models.records.claims import Claim
from models.records.database import Database
from models.settings import Settings
from models.types.causes import Cause
from models.types.errors import DatabaseError
from models.types.exit_status import ExitStatus
from models.types.fate import Fate, fate
from models.types.states import Outcome
from worker.care.retrying import Retrier
from worker.events import Event
from worker.log import event, log


class HangWatch:
    """Watches that the jobs of one call take a step now and then."""

    def __init__(self, database: Database, claims: Sequence[Claim], settings: Settings, retrier: Retrier) -> None:
        self._database = database
        self._claims = claims
        self._settings = settings
        self._retrier = retrier
        self._quiet_s = 0.0
        self._advanced = threading.Event()

    def advance(self) -> None:
        """Note that the jobs get on."""
        self._advanced.set()

    def look(self) -> None:
        """Look, once a heartbeat; the process ends here if the jobs hang."""
        # Looks are counted, not time: a process that was frozen for an hour has not hung for one.
        gets_on = self._advanced.is_set() or self._retrier.waiting
        self._quiet_s = 0.0 if gets_on else self._quiet_s + self._settings.heartbeat_s
        self._advanced.clear()
        if self._quiet_s > self._settings.hang_s:
            self._leave(self._quiet_s)

    def _leave(self, quiet_s: float) -> None:
        """Give the jobs up and end the process."""
        what = f"no step for {quiet_s:.0f} s: the device hangs"
        for claim in self._claims:
            self._give_up(claim, what)
        os._exit(ExitStatus.HUNG)

    def _give_up(self, claim: Claim, what: str) -> None:
        result = Result(Outcome.LOST, cause=Cause.HUNG, error=what)
        tries = self._settings.tries
        is_set_aside = fate(result.outcome, result.cause, claim.failures, claim.losses, tries) is Fate.QUARANTINE
        try:
            with self._database.writing() as session:
                if not lose(session, claim, result, set_aside=is_set_aside):
                    # It had ended already, or another worker has it.
                    return
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
