"""The step of an attempt that looks at its picture: is it what the batch accepts?"""

from dataclasses import replace

from checks.asked import Asked
from checks.duplicates import Likeness, Seen, likeness
from checks.picture import Picture
from checks.registry import Selection
from models.attempts import Claim
from models.database import Database
from models.verdicts import accepted_likenesses
from worker.attempt import Attempt
from worker.patience import Patience


class Judge:
    """Holds pictures against the checks of their batches, beside the device."""

    def __init__(self, database: Database, patience: Patience) -> None:
        self._database = database
        self._patience = patience
        #: What pictures of the present batch are compared with, and the number of the last likeness that is in it.
        self._compared: tuple[int, Selection, Seen, int] | None = None

    def judge(self, attempt: Attempt) -> Attempt:
        """Add what the checks find; nothing where the batch has none.

        Raises:
            CancelledError, LostClaimError, AttemptStoppedError: as `Heartbeat.wait` does.
            DatabaseError: the worker was told to end before earlier pictures could be read.
        """
        claim = attempt.claim
        if not claim.checks:
            return replace(attempt, picture=None)
        assert attempt.picture is not None
        assert attempt.content is not None
        selection = Selection.of(claim.checks)
        picture = Picture(attempt.picture, len(attempt.content))
        spec = claim.spec
        findings = selection.look(picture, Asked(spec.prompt, spec.width, spec.height, claim.attributes))
        one = None
        # Of a picture that is thrown out anyway nothing is a duplicate.
        if all(finding.passed for finding in findings):
            seen = self._patience.until_done(lambda: self._seen(claim, selection), attempt.heartbeat.wait)
            if seen is not None:
                one = likeness(picture)
                findings.append(seen.look(one))
        return replace(attempt, picture=None, findings=findings, likeness=None if one is None else one.to_bytes())

    def _seen(self, claim: Claim, selection: Selection) -> Seen | None:
        """Return the accepted pictures of the batch as the database has them, whichever worker made them."""
        if self._compared is None or self._compared[:2] != (claim.batch_id, selection):
            seen = selection.seen()
            if seen is None:
                return None
            self._compared = claim.batch_id, selection, seen, 0
        _, _, seen, last = self._compared
        with self._database.reading() as session:
            new = accepted_likenesses(session, claim.batch_id, last)
        for number, job_id, content in new:
            seen.keep(job_id, Likeness.from_bytes(content))
            last = number
        self._compared = claim.batch_id, selection, seen, last
        return seen
