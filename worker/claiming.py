"""The first step of an attempt: the claim of the job that a message names."""

from pydantic import ValidationError

from models.attempts import Claim, claim, refuse
from models.database import Database
from models.message import JobMessage
from worker.log import event, log
from worker.patience import Patience


class Claimer:
    """Claims jobs on behalf of one boot."""

    def __init__(self, database: Database, patience: Patience, boot_id: int) -> None:
        self._database = database
        self._patience = patience
        self._boot_id = boot_id

    def claim(self, message: JobMessage) -> Claim | None:
        """Return the claim, or None where the job is not to be had; the message is dropped then.

        Raises:
            QueuePausedError: no job may begin now.
            DatabaseError: the worker was told to end before it could be claimed.
        """
        claimed = self._patience.until_done(lambda: self._claim(message))
        if claimed is None:
            log.warning(
                "job %d: message dropped: the job is done, cancelled, or not of this database",
                message.job,
                extra=event("message.dropped", job=message.job),
            )
        return claimed

    def _claim(self, message: JobMessage) -> Claim | None:
        try:
            with self._database.writing() as session:
                return claim(session, message, self._boot_id)
        except ValidationError as error:
            what = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors(include_url=False, include_input=False))
            with self._database.writing() as session:
                refuse(session, message, what)
            log.error("job %d failed: %s", message.job, what, extra=event("job.refused", job=message.job))
            return None
