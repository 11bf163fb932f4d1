"""The step of an attempt that looks at its picture: is it what the batch accepts?"""

from dataclasses import replace

from checks.asked import Asked
from checks.duplicates import Likeness, Seen
from checks.examiner import Examined, Examiner
from checks.registry import Selection
from models.records.claims import Claim
from models.records.database import Database
from models.records.judging.acceptance import accepted_likenesses
from worker.attempt.attempt import Attempt
from worker.care.retrying import Retrier


class Judge:
    """Holds pictures against the checks of their batches, beside the device and in another process."""

    def __init__(self, database: Database, retrier: Retrier, examiner: Examiner) -> None:
        self._database = database
        self._retrier = retrier
        self._examiner = examiner
        #: What pictures of the present batch are compared with, and the number of the last likeness that is in it.
        self._compared: tuple[int, Selection, Seen, int] | None = None

    def judge(self, attempt: Attempt) -> Attempt:
        """Add what the checks find; nothing where the batch has none.

        Raises:
            CancelledError, LostClaimError, AttemptStoppedError: as `Heartbeat.wait` does.
            DatabaseError: the worker was told to end before earlier pictures could be read.
            ExaminerError: it was before anybody could look.
        """
        claim = attempt.claim
        if not claim.checks:
            return attempt
        assert attempt.content is not None
        selection, spec = Selection.of(claim.checks), claim.spec
        asked = Asked(spec.prompt, spec.width, spec.height, claim.attributes)
        content = attempt.content

        def examine() -> Examined:
            attempt.heartbeat.begin()
            return self._examiner.examine(content, asked, selection)

        examined = self._retrier.until_done(examine, attempt.wait)
        findings, one = examined.findings, examined.likeness
        if one is not None:
            seen = self._retrier.until_done(lambda: self._seen(claim, selection), attempt.wait)
            findings = [*findings, seen.compare(one)]
        return replace(attempt, findings=findings, likeness=None if one is None else one.to_bytes())

    def close(self) -> None:
        """End the process that looks."""
        self._examiner.close()

    def _seen(self, claim: Claim, selection: Selection) -> Seen:
        """Return the accepted pictures of the batch as the database has them, whichever worker made them."""
        if self._compared is None or self._compared[:2] != (claim.batch_id, selection):
            seen = selection.seen()
            assert seen is not None
            self._compared = claim.batch_id, selection, seen, 0
        _, _, seen, last = self._compared
        with self._database.reading() as session:
            new = accepted_likenesses(session, claim.batch_id, last)
        for number, job_id, content in new:
            seen.keep(job_id, Likeness.from_bytes(content))
            last = number
        self._compared = claim.batch_id, selection, seen, last
        return seen
