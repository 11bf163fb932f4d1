"""The first step of an attempt: the claim of the job that a message names, or of one that goes before it."""

import time

from pydantic import ValidationError

from models.attempts import Claim, claim, refuse
from models.database import Database
from models.grouping import goes_before
from models.identity import Setup
from models.message import JobMessage, what_is_invalid
from worker.events import Event
from worker.file_handles import require_file_handle
from worker.in_hand import InHand
from worker.log import event, log
from worker.patience import Patience


class Claimer:
    """Claims jobs on behalf of one boot.

    Jobs of one checkpoint and size go before others of the same priority that came earlier, since a switch costs a load
    or compiled kernels; but for `group_s` seconds at most, and then it is the turn of the job that came first.
    """

    def __init__(self, database: Database, patience: Patience, boot_id: int, group_s: float, in_hand: InHand) -> None:
        self._database = database
        self._patience = patience
        self._boot_id = boot_id
        self._group_s = group_s
        self._in_hand = in_hand
        #: What the device is set up for, and since when.
        self._setup: Setup | None = None
        self._since = 0.0
        #: Jobs that were made before their own messages came.
        self._went_before: set[int] = set()

    def claim(self, message: JobMessage) -> Claim | None:
        """Return the claim, of the message's job or of another; None where there is none, and the message is dropped.

        Raises:
            QueuePausedError: no job may begin now.
            DatabaseError, StorageError: the worker was told to end before it could be claimed.
        """
        claimed = self._patience.until_done(lambda: self._claim(message))
        if claimed is None and message.job in self._went_before:
            self._went_before.remove(message.job)
        elif claimed is None:
            log.warning(
                "job %d: message dropped: the job is done, cancelled, or not of this database",
                message.job,
                extra=event(Event.MESSAGE_DROPPED, job=message.job),
            )
        else:
            self._note(claimed, message)
        return claimed

    def _note(self, claimed: Claim, message: JobMessage) -> None:
        self._in_hand.take(claimed)
        if claimed.job_id != message.job:
            self._went_before.add(claimed.job_id)
        if (setup := Setup.of(claimed.spec)) != self._setup:
            self._setup, self._since = setup, time.monotonic()

    def _claim(self, message: JobMessage) -> Claim | None:
        # A job that cannot write its picture is better not begun.
        require_file_handle()
        wanted = message
        try:
            with self._database.writing() as session:
                if (setup := self._setup_with_time_left()) is not None:
                    wanted = goes_before(session, message, setup) or message
                if (
                    claimed := claim(session, wanted, self._boot_id, self._in_hand.has)
                ) is not None or wanted == message:
                    return claimed
        except (ValueError, TypeError, LookupError) as error:
            # What the row holds, or its batch's: a value that no job may have, a time that is none, JSON cut short.
            what = what_is_invalid(error) if isinstance(error, ValidationError) else f"cannot be read: {error}"
            with self._database.writing() as session:
                refuse(session, wanted.job, what)
            log.error("job %d failed: %s", wanted.job, what, extra=event(Event.JOB_REFUSED, job=wanted.job))
            if wanted == message:
                return None
        # The one that should have gone before is not to be had.
        return self._claim(message)

    def _setup_with_time_left(self) -> Setup | None:
        return self._setup if time.monotonic() - self._since < self._group_s else None
