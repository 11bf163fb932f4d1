"""The attempts that threads of this worker have in hand."""

from models.records.claims import Claim


class InHand:
    """Tells attempts that somebody works on from rows that only say so.

    A claim may be in the database although its answer never came: the link was cut at the COMMIT. Such a row says that
    this boot runs the job, which lives, so nobody else would put it back.
    """

    def __init__(self) -> None:
        #: Jobs' numbers with those of their attempts. Sets are changed by several threads, each by one call.
        self._attempts: set[tuple[int, int]] = set()

    def take(self, claim: Claim) -> None:
        """Note that somebody works on it."""
        self._attempts.add((claim.job_id, claim.attempt_number))

    def let_go(self, claim: Claim) -> None:
        """Note that its end is recorded."""
        self._attempts.discard((claim.job_id, claim.attempt_number))

    def has(self, job_id: int, attempt_number: int) -> bool:
        """Tell whether somebody works on that attempt of the job."""
        return (job_id, attempt_number) in self._attempts
