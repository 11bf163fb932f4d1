"""A claim's lease: renewed while its job runs, and lost where the job is cancelled or another worker has it."""

from models.records.claims import Claim, renew
from models.records.database import Database
from models.types.causes import Cause
from models.types.errors import CancelledError, DatabaseError, LostClaimError
from worker.events import Event
from worker.log import event, log


class Lease:
    """What a claim's row says of it."""

    def __init__(self, database: Database, claim: Claim) -> None:
        self._database = database
        self._claim = claim
        self._lost: CancelledError | LostClaimError | None = None

    def renew(self) -> None:
        """Give a sign of life, and learn whether the job is to end."""
        try:
            with self._database.writing() as session:
                cancelled = renew(session, self._claim)
        except DatabaseError as error:
            log.warning(
                "job %d: no sign of life could be written: %s",
                self._claim.job_id,
                error,
                extra=event(Event.HEARTBEAT_FAILED, **self._claim.ids),
            )
            return
        if cancelled is None:
            self._lost = LostClaimError("the job was taken from this worker")
        elif cancelled:
            self._lost = CancelledError(Cause.CANCELLED.sentence)

    def require(self) -> None:
        """Raise if the attempt should end, as the last sign of life found out.

        Raises:
            CancelledError: `producer cancel` asked for it.
            LostClaimError: the job is no longer this attempt's.
        """
        if self._lost is not None:
            raise self._lost
