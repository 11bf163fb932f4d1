"""The lease of a call's claims: renewed while their jobs run, and lost where one is cancelled or taken by another."""

from collections.abc import Sequence

from models.records.claims import Claim, renew
from models.records.database import Database
from models.types.causes import Cause
from models.types.errors import CancelledError, DatabaseError, LostClaimError
from worker.events import Event
from worker.log import event, log


class Lease:
    """What the rows of the claims say of them."""

    def __init__(self, database: Database, claims: Sequence[Claim]) -> None:
        self._database = database
        self._claims = claims
        #: By attempt.
        self._lost: dict[int, CancelledError | LostClaimError] = {}

    def renew(self) -> None:
        """Give a sign of life, and learn whether a job is to end."""
        try:
            with self._database.writing() as session:
                asked = renew(session, self._claims)
        except DatabaseError as error:
            for claim in self._claims:
                log.warning(
                    "job %d: no sign of life could be written: %s",
                    claim.job_id,
                    error,
                    extra=event(Event.HEARTBEAT_FAILED, **claim.ids),
                )
            return
        for claim in self._claims:
            is_asked = asked.get(claim.job_id)
            if is_asked is None:
                self._lost[claim.attempt_id] = LostClaimError("the job was taken from this worker")
            elif is_asked:
                self._lost[claim.attempt_id] = CancelledError(Cause.CANCELLED.sentence)

    def require(self, claim: Claim) -> None:
        """Raise if the claim's attempt should end, as the last sign of life found out.

        Raises:
            CancelledError: `producer cancel` asked for it.
            LostClaimError: the job is no longer this attempt's.
        """
        if (lost := self._lost.get(claim.attempt_id)) is not None:
            raise lost
