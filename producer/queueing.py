"""Recording a planned batch and putting it on the queue."""

import re
from pathlib import Path

from rich.progress import Progress

from models.batches import create_batch, find_unfinished, free_name
from models.database import Database
from models.errors import BadInputError, BrokerError
from models.settings import Settings
from models.tables import Batch
from producer.plan import Plan
from producer.terminal import console
from worker.publishing import publish
from worker.queue import make_app

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: From how many jobs on publishing shows a bar.
_LONG = 2_000


def record_batch(database: Database, plan: Plan, *, name: str | None, source: str, priority: int) -> Batch:
    """Write the batch and its jobs, not yet published.

    Raises:
        BadInputError: if the name cannot be used or is taken.
    """
    if name is not None and not _NAME.fullmatch(name):
        raise BadInputError([f"--batch {name!r}: use up to 64 letters, digits, dots, dashes and underscores"])
    with database.writing() as session:
        return create_batch(
            session,
            name or free_name(session, _stem(source)),
            source,
            plan.jobs,
            priority=priority,
            digest=plan.fingerprint,
        )


def unfinished_batch(database: Database, plan: Plan) -> Batch | None:
    """Return the batch that an earlier run of the same command left unfinished."""
    with database.reading() as session:
        return find_unfinished(session, plan.fingerprint)


def publish_with_progress(settings: Settings, database: Database, count: int, batch_id: int | None = None) -> int:
    """Publish every job that is not on the queue, with a bar if there are about `count` many; return how many.

    Raises:
        BrokerError: what is not published stays in the database, and the message says how to go on.
    """
    try:
        with Progress(console=console(error=True), disable=count < _LONG, transient=True) as bar:
            shown = bar.add_task("publishing", total=count)
            return publish(make_app(settings), database, batch_id, progress=lambda more: bar.advance(shown, more))
    except BrokerError as error:
        raise BrokerError(
            f"{error}. Nothing is lost: the jobs are recorded, and `producer publish` puts them on the queue"
        ) from error


def _stem(source: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source).stem).strip("-._")[:50]
    return stem or "batch"
