"""Recording a planned batch and putting it on the queue."""

import re
from pathlib import Path

from models.figures.progress import BatchProgress, batch_progress
from models.records.batches import create_batch, find_same, free_name
from models.records.database import Database
from models.records.tables import Batch
from models.settings import Settings
from models.types.errors import BadInputError, BrokerError
from models.types.printable import printable
from producer.commands.job_options import Order
from producer.terminal.progress_bar import each_counted, progress_bar
from worker.queue.app import make_app
from worker.queue.publishing import publish

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def record_batch(database: Database, order: Order) -> tuple[Batch, bool]:
    """Write the batch and its jobs, not yet published; return it, and whether it is new.

    It is not where another command has just asked for the same, and this one was to make no other.

    Raises:
        BadInputError: if the name cannot be used or is taken.
    """
    name, jobs = order.name, order.plan.jobs
    if name is not None and not _NAME.fullmatch(name):
        raise BadInputError([f"--batch {name!r}: use up to 64 letters, digits, dots, dashes and underscores"])
    with progress_bar("recording", len(jobs)) as advance, database.writing() as session:
        if not order.new and (same := find_same(session, order.plan.fingerprint, alone=True)) is not None:
            return same, False
        batch = create_batch(
            session,
            name or free_name(session, _stem(order.source)),
            # The name of a file may be no text, which a database would refuse.
            printable(order.source),
            each_counted(jobs, advance),
            priority=order.priority,
            digest=order.plan.fingerprint,
            acceptance=order.acceptance,
        )
        return batch, True


def same_batch(database: Database, order: Order) -> tuple[Batch, BatchProgress] | None:
    """Return the batch that asks for the same, and how far it is; None where another is to be made in any case."""
    if order.new:
        return None
    with database.reading() as session:
        batch = find_same(session, order.plan.fingerprint)
        return None if batch is None else (batch, batch_progress(session, batch))


def publish_with_progress(settings: Settings, database: Database, count: int, batch_id: int | None = None) -> int:
    """Publish every job that is not on the queue, about `count` many, and return how many.

    Raises:
        BrokerError: what is not published stays in the database, and the message says how to go on.
    """
    try:
        with progress_bar("publishing", count) as advance:
            return publish(make_app(settings), database, batch_id, progress=advance)
    except BrokerError as error:
        raise BrokerError(
            f"{error}. Nothing is lost: the jobs are recorded, and `producer publish` puts them on the queue"
        ) from error


def _stem(source: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source).stem).strip("-._")[:50]
    return stem or "batch"
