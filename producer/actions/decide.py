"""What a person decides of pictures that were made."""

from collections.abc import Collection

from models.pictures.opening import open_store
from models.records.database import Database
from models.records.judging.acceptance import decide
from models.settings import Settings


def decide_over(settings: Settings, database: Database, jobs: Collection[int], *, accepted: bool) -> int:
    """Accept or reject the pictures of these jobs, and return how many others are queued in their place.

    Those are in the database, and `publish_jobs` puts them on the queue.

    Raises:
        BadInputError: naming every job that is not there, or has no picture; then nothing was changed.
    """
    with database.writing() as session:
        return len(decide(session, open_store(settings), jobs, accepted=accepted))
