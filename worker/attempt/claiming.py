"""The first step of an attempt: a message comes, and the record says which jobs are made for it."""

import time
from collections.abc import Callable

from models.records.claims import Claim, MostTogether, claim, refuse, unanswered_claims
from models.records.database import Database
from models.settings import Settings
from models.types.errors import AttemptStoppedError, DatabaseError, InvalidJobError, QueuePausedError
from models.types.identity import Setup
from models.types.message import JobMessage
from worker.care.file_handles import require_file_handle
from worker.care.in_hand import InHand
from worker.care.pausing import PauseWatch
from worker.care.retrying import Retrier
from worker.events import Event
from worker.log import event, log
from worker.shutdown import Shutdown


class Claimer:
    """Claims jobs on behalf of one boot, and waits while a person has paused the queue.

    Jobs of one checkpoint and size go before others of the same priority that came earlier, since a switch costs a load
    or compiled kernels; but for NIGHTSHIFT_GROUP_S at most, and then it is the turn of the job that came first.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        retrier: Retrier,
        shutdown: Shutdown,
        pause: PauseWatch,
        boot_id: int,
        in_hand: InHand,
        rest: Callable[[], None],
        most_together: MostTogether,
    ) -> None:
        """Have `rest` called when a pause is over, in which the device waited for a person.

        `most_together` says with how many a job may go together: see `claim`.
        """
        self._database = database
        self._settings = settings
        self._retrier = retrier
        self._shutdown = shutdown
        self._pause = pause
        self._boot_id = boot_id
        self._in_hand = in_hand
        self._rest = rest
        self._most_together = most_together
        #: What the device is set up for, and since when.
        self._setup: Setup | None = None
        self._since = 0.0
        #: Whether a claim may be in the database of which this worker has not heard.
        self._is_in_doubt = False

    def claim(self, message: JobMessage, queue: str) -> list[Claim]:
        """Return the claims of the next call; nothing where no job is made for the message, which is then done with.

        Raises:
            AttemptStoppedError: the worker was told to end before it could be claimed.
            DatabaseError, StorageError: the same, while the database or the disk could not be used.
        """
        while True:
            # The message may have come while the last job ran.
            if self._shutdown.asked.is_set():
                raise AttemptStoppedError("the worker was told to end")
            try:
                claimed = self._retrier.until_done(lambda: self._claim(message, queue))
            except QueuePausedError:
                self._pause.wait()
                self._rest()
            except InvalidJobError as error:
                self._refuse(error)
                return []
            else:
                break
        if not claimed:
            log.warning(
                "job %d: message dropped: no job waits for it, or it is of another database",
                message.job,
                extra=event(Event.MESSAGE_DROPPED, job=message.job),
            )
            return []
        for each in claimed:
            self._in_hand.take(each)
        if (setup := Setup.of(claimed[0].spec)) != self._setup:
            self._setup, self._since = setup, time.monotonic()
        return claimed

    def _claim(self, message: JobMessage, queue: str) -> list[Claim]:
        # A job that cannot write its picture is better not begun.
        require_file_handle()
        claimed = []
        try:
            with self._database.writing() as session:
                if self._is_in_doubt:
                    claimed = unanswered_claims(session, self._boot_id, self._in_hand.has)
                if not claimed:
                    setup = self._setup_with_time_left()
                    claimed = claim(session, message, self._boot_id, setup, self._most_together, queue)
        except DatabaseError:
            self._is_in_doubt = True
            raise
        self._is_in_doubt = False
        return claimed

    def _refuse(self, error: InvalidJobError) -> None:
        def write() -> None:
            with self._database.writing() as session:
                refuse(session, error.job_id, str(error))

        self._retrier.until_done(write)
        log.error("job %d failed: %s", error.job_id, error, extra=event(Event.JOB_REFUSED, job=error.job_id))

    def _setup_with_time_left(self) -> Setup | None:
        return self._setup if time.monotonic() - self._since < self._settings.group_s else None
