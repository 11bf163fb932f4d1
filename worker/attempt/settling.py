"""The step that ends an attempt: the picture gets its name and the row its result, both or neither."""

from contextlib import nullcontext
from dataclasses import replace

from models.pictures.mark import picture_mark
from models.pictures.store import Aside, PictureStore
from models.records.attempts import Ended, Recorded, give_back, lose, postpone, settle
from models.records.boots import note_peak
from models.records.database import Database
from models.settings import Settings
from models.types.errors import DatabaseError, LimitsChangedError, LostClaimError, NameTakenError
from models.types.fate import Fate, fate
from worker.attempt.attempt import Attempt, ended_by
from worker.attempt.unrecorded import Unrecorded, note_unrecorded
from worker.care.retrying import Retrier, wait_before_retry
from worker.engine.memory import rss_lifetime_peak


class Settler:
    """Writes what became of attempts, on behalf of one boot."""

    def __init__(
        self, database: Database, pictures: PictureStore, settings: Settings, retrier: Retrier, boot_id: int
    ) -> None:
        self._database = database
        self._pictures = pictures
        self._tries = settings.tries
        self._retry_s = settings.retry_s
        self._retrier = retrier
        self._boot_id = boot_id

    def settle(self, attempt: Attempt) -> Attempt:
        """Settle, as late as it takes; an attempt that is to end while it waits for that is settled as ended so.

        The picture is named within the transaction that finds the job still to be this attempt's: an attempt that
        comes too late leaves no file.

        Raises:
            LimitsChangedError: the picture was judged by other limits than the batch has now.
            DatabaseError: the worker was told to end before it worked; nothing is settled, but a picture that lies
                aside is noted for the next worker to record.
        """
        try:
            return self._settle(attempt)
        except (DatabaseError, LimitsChangedError):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the row must say so
            return self._settle(ended_by(attempt, error))

    def _settle(self, attempt: Attempt) -> Attempt:
        while True:
            try:
                return self._settle_by_name(attempt)
            except NameTakenError:
                # By another attempt of the job, that was thought to be gone, or by a job of another database.
                attempt = self._renamed(attempt)

    def _renamed(self, attempt: Attempt) -> Attempt:
        claim = attempt.claim
        mark = picture_mark(claim.batch_uid, claim.job_id)

        def find_name() -> str:
            return self._pictures.free_name(claim.batch_id, claim.job_id, mark)

        return replace(attempt, name=self._retrier.until_done(find_name, attempt.wait))

    def _settle_by_name(self, attempt: Attempt) -> Attempt:
        aside = None if attempt.name is None else self._pictures.aside(attempt.name, attempt.claim.attempt_id)
        # Once for all tries: an earlier one whose answer was lost is known by it.
        ended = Ended.now()

        def try_once() -> Attempt:
            if attempt.content is None or aside is None:
                return self._write(attempt, ended)
            if not aside.is_there:
                # It got its name in an earlier try, which then came to nothing.
                aside.write(attempt.content)
            try:
                aside.prepare(rejected=attempt.is_rejected)
                return self._write(attempt, ended, aside)
            except DatabaseError:
                note_unrecorded(aside, Unrecorded(attempt.claim, attempt.result, ended))
                raise
            except NameTakenError:
                aside.remove()
                raise

        try:
            settled = self._retrier.until_done(try_once, attempt.wait)
        except LostClaimError:
            # So it looks to the heartbeat, too, where an earlier try was recorded and its answer lost.
            settled = self._retrier.until_done(try_once)
            if not settled.is_owned:
                raise
        if aside is not None:
            aside.remove()
        return settled

    def _write(self, attempt: Attempt, ended: Ended, aside: Aside | None = None) -> Attempt:
        claim, result = attempt.claim, attempt.result
        becomes = fate(result.outcome, result.cause, claim.failures, claim.losses, self._tries)
        with self._database.writing() as session:
            replaced_by = None
            match becomes:
                case Fate.SETTLE:
                    settled = settle(session, claim, result, ended)
                    recorded, replaced_by = settled.recorded, settled.replaced_by
                case Fate.POSTPONE:
                    recorded = postpone(session, claim, result, wait_before_retry(self._retry_s, claim.failures), ended)
                case Fate.GIVE_BACK:
                    recorded = give_back(session, claim, result, ended)
                case Fate.LOSE | Fate.QUARANTINE:
                    recorded = lose(session, claim, result, set_aside=becomes is Fate.QUARANTINE, ended=ended)
            new = aside if recorded is Recorded.NOW else None
            with nullcontext() if new is None else new.put_in_place(rejected=attempt.is_rejected):
                note_peak(session, self._boot_id, rss_lifetime_peak())
        is_owned = bool(recorded)
        is_postponed = is_owned and becomes is Fate.POSTPONE
        return replace(attempt, is_owned=is_owned, is_postponed=is_postponed, replaced_by=replaced_by)
