"""Bringing the database's schema to this program's version."""

from dataclasses import dataclass

from models.records.database import Database
from models.records.workers import WorkerState, known_workers
from models.settings import Settings


@dataclass(frozen=True)
class Migration:
    """What a migration found and did."""

    #: The database, without its password.
    database: str
    #: The version that was found, None where the database was empty; and the one that it has now.
    found: str | None
    version: str
    #: Hosts and devices of workers that are at work, which began with the version that was found.
    workers: list[str]


def migrate(settings: Settings) -> Migration:
    """Bring the database up, wherever it lies; nothing is done where it is of this version already.

    Raises:
        DatabaseError: it cannot be reached or written, or a newer program made it.
    """
    database = Database(settings.database, migrate=True)
    try:
        with database.reading() as session:
            workers = [one for one in known_workers(session, settings.stall_s) if one.state != WorkerState.SILENT]
        version = database.revision() or ""
    finally:
        database.close()
    at_work = [f"{worker.device} of {worker.host}" for worker in workers] if database.found_version else []
    return Migration(database.shown_url, database.found_version, version, at_work)
