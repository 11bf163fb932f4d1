"""Queueing what a batch lacks of each combination of attributes."""

from collections.abc import Sequence

from models.figures.coverage import Lack, fill, lacks
from models.records.batches import find_batch
from models.records.database import Database
from models.settings import Settings
from producer.actions.enqueue import publish_jobs
from producer.actions.progress import Progress, unseen


def what_is_missing(database: Database, name: str, each: int) -> Sequence[Lack]:
    """Return what `fill_batch` would queue.

    Raises:
        NotFoundError: if there is no such batch.
    """
    with database.reading() as session:
        return lacks(session, find_batch(session, name).id, each)


def fill_batch(
    settings: Settings, database: Database, name: str, each: int, progress: Progress = unseen
) -> Sequence[Lack]:
    """Queue what the batch lacks until `each` pictures of every combination are accepted, and return it.

    Raises:
        NotFoundError: if there is no such batch.
        BrokerError: as `publish_jobs` does.
    """
    with database.writing() as session:
        found = fill(session, find_batch(session, name).id, each)
    if count := sum(lack.count for lack in found):
        publish_jobs(settings, database, count, progress=progress)
    return found
