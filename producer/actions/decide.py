"""What a person decides of pictures that were made."""

from collections.abc import Collection

from models.pictures.opening import open_store
from models.records.acceptance import decide
from models.records.database import Database
from models.settings import Settings
from producer.actions.enqueue import publish_jobs
from producer.actions.progress import Progress, unseen


def decide_over(
    settings: Settings, database: Database, jobs: Collection[int], *, accepted: bool, progress: Progress = unseen
) -> int:
    """Accept or reject the pictures of these jobs, and return how many others were queued in their place.

    Raises:
        BadInputError: naming every job that is not there, or has no picture; then nothing was changed.
        BrokerError: as `publish_jobs` does.
    """
    with database.writing() as session:
        queued = decide(session, open_store(settings), jobs, accepted=accepted)
    if queued:
        publish_jobs(settings, database, len(queued), progress=progress)
    return len(queued)
