"""The first step of a segment: a message comes, and the record says whether its training waits."""

from models.records.database import Database
from models.records.trainings.segments import SegmentClaim, claim_segment, unanswered_segment
from models.types.errors import AttemptStoppedError, DatabaseError, QueuePausedError
from models.types.message import SegmentMessage
from worker.care.file_handles import require_file_handle
from worker.care.pausing import PauseWatch
from worker.care.retrying import Retrier
from worker.events import Event
from worker.log import event, log
from worker.shutdown import Shutdown


class SegmentClaimer:
    """Claims segments on behalf of one boot, and waits while a person has paused the queue."""

    def __init__(
        self, database: Database, retrier: Retrier, shutdown: Shutdown, boot_id: int, place: str, pause: PauseWatch
    ) -> None:
        """Take those alone whose files lie in the data folder that is called `place`."""
        self._database = database
        self._retrier = retrier
        self._shutdown = shutdown
        self._boot_id = boot_id
        self._place = place
        self._pause = pause
        #: Whether a claim may be in the database of which this worker has not heard.
        self._is_in_doubt = False

    def claim(self, message: SegmentMessage) -> SegmentClaim | None:
        """Return the claim of the next segment; None where the message is done with.

        Raises:
            AttemptStoppedError: the worker was told to end before it could be claimed.
            ElsewhereError: as `claim_segment` does.
            DatabaseError, StorageError: the same, while the database or the disk could not be used.
        """
        while True:
            if self._shutdown.asked.is_set():
                raise AttemptStoppedError("the worker was told to end")
            try:
                claimed = self._retrier.until_done(lambda: self._claim(message))
            except QueuePausedError:
                self._pause.wait()
            else:
                break
        if claimed is None:
            log.warning(
                "training %d: message dropped: it does not wait, or it is of another database",
                message.training,
                extra=event(Event.MESSAGE_DROPPED),
            )
        return claimed

    def _claim(self, message: SegmentMessage) -> SegmentClaim | None:
        # One that cannot write its state is better not begun.
        require_file_handle()
        claimed = None
        try:
            with self._database.writing() as session:
                if self._is_in_doubt:
                    claimed = unanswered_segment(session, self._boot_id)
                claimed = claimed or claim_segment(session, message, self._boot_id, self._place)
        except DatabaseError:
            self._is_in_doubt = True
            raise
        self._is_in_doubt = False
        return claimed
