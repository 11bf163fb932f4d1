"""Recording a planned batch and putting it on the queue."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from models.figures.progress import BatchProgress, batch_progress
from models.records.batches import KnownBatch, create_batch, find_batch, find_same, free_name
from models.records.database import Database
from models.records.publication import Unpublished, forget_published
from models.settings import Settings
from models.types.clock import now
from models.types.errors import BadInputError, BrokerError
from models.types.printable import printable
from producer.actions.progress import Progress, each_counted, unseen
from producer.planning.plan import Order
from worker.queue.app import make_app
from worker.queue.publishing import publish
from worker.queue.traces import Traces

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def record_batch(database: Database, order: Order, progress: Progress = unseen) -> tuple[KnownBatch, bool]:
    """Write the batch and its jobs, not yet published; return it, and whether it is new.

    It is not where another command has just asked for the same, and this one was to make no other.

    Raises:
        BadInputError: if the name cannot be used or is taken.
    """
    name, jobs = order.name, order.plan.jobs
    if name is not None and not _NAME.fullmatch(name):
        raise BadInputError([f"--batch {name!r}: use up to 64 letters, digits, dots, dashes and underscores"])
    with progress("recording", len(jobs)) as advance, database.writing() as session:
        if not order.new and (same := find_same(session, order.plan.fingerprint, alone=True)) is not None:
            return same, False
        batch = create_batch(
            session,
            name or free_name(session, _stem(order.source)),
            # The name of a file may be no text, which a database would refuse.
            printable(order.source),
            each_counted(jobs, advance),
            queue=order.queue,
            priority=order.priority,
            digest=order.plan.fingerprint,
            acceptance=order.acceptance,
        )
        return batch, True


def same_batch(database: Database, order: Order) -> tuple[KnownBatch, BatchProgress] | None:
    """Return the batch that asks for the same, and how far it is; None where another is to be made in any case."""
    if order.new:
        return None
    with database.reading() as session:
        batch = find_same(session, order.plan.fingerprint)
        return None if batch is None else (batch, batch_progress(session, batch))


def publish_jobs(
    settings: Settings, database: Database, count: int, batch_id: int | None = None, progress: Progress = unseen
) -> int:
    """Publish every job that is not on the queue, about `count` many, and return how many.

    Raises:
        BrokerError: what is not published stays in the database, and the message says how to go on.
    """
    try:
        with progress("publishing", count) as advance, _traced(settings) as sent:
            return publish(make_app(settings), database, batch_id, progress=advance, sent=sent)
    except BrokerError as error:
        raise BrokerError(
            f"{error}. Nothing is lost: the jobs are recorded, and `producer publish` puts them on the queue"
        ) from error


@contextmanager
def _traced(settings: Settings) -> Iterator[Callable[[Sequence[Unpublished]], None]]:
    """Give what is to be told of jobs that were published, and sends the spans with which their traces begin.

    Raises:
        SettingsError: the libraries for traces are not installed.
    """
    if not settings.traces:
        yield lambda _: None
        return
    traces, begun = Traces(settings.traces, "nightshift-producer"), now()

    def sent(jobs: Sequence[Unpublished]) -> None:
        for job in jobs:
            # The trace of one that is tried again has begun.
            if job.message is not None and job.is_new:
                about = {"nightshift.job": job.job_id, "nightshift.queue": job.queue}
                traces.begin(job.message, "enqueue", begun, now(), about | {"nightshift.priority": job.priority})
        traces.send()

    try:
        yield sent
    finally:
        traces.close()


def publish_anew(settings: Settings, database: Database, name: str, progress: Progress = unseen) -> int:
    """Publish the queued jobs of a batch, whether or not they were before, and return how many.

    Raises:
        NotFoundError: if there is no such batch.
        BrokerError: as `publish_jobs` does.
    """
    with database.writing() as session:
        batch_id = find_batch(session, name).id
        forget_published(session, batch_id)
    return publish_jobs(settings, database, 0, batch_id, progress)


def _stem(source: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source).stem).strip("-._")[:50]
    return stem or "batch"
