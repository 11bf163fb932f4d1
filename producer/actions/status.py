"""How far batches are, and what holds the queue up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from models.figures.progress import (
    BatchProgress,
    Failure,
    batch_progress,
    failures,
    is_judged,
    missing_pictures,
    newest_batches,
    recent_speed,
)
from models.figures.trainings import TrainingProgress, training_progress
from models.pictures.opening import open_store
from models.records.batches import find_batch
from models.records.control import paused_since
from models.records.database import Database, Session
from models.records.judging.acceptance import Standing, Unreached, standing, unreached
from models.records.publication import published_queues
from models.records.trainings.publication import published_segments
from models.records.trainings.trainings import find_training, newest_trainings
from models.records.workers import KnownWorker, WorkerState, known_workers
from models.settings import Settings

#: Signs of life after which a worker is late.
_MISSED = 3
_NEWEST = 20


@dataclass(frozen=True)
class QueueState:
    """What is known of the queue beside its jobs."""

    paused_since: datetime | None
    workers: list[KnownWorker]
    #: Queues that jobs wait on, and that no worker takes any from.
    untaken: Sequence[str]
    #: What keeps the database from being written, as far as that was looked for.
    database_trouble: str | None


@dataclass(frozen=True)
class Status:
    """How far batches and trainings are, the newest first."""

    batches: Sequence[BatchProgress]
    trainings: Sequence[TrainingProgress]
    queue: QueueState


@dataclass(frozen=True)
class BatchStatus:
    """How far one batch is."""

    progress: BatchProgress
    queue: QueueState
    #: The first of its faulty jobs.
    failures: Sequence[Failure]
    #: How many of its pictures are no longer where they were put.
    missing_pictures: int
    #: How its pictures stand and how long one takes; None where they are not judged.
    standing: Standing | None
    pace_s: float | None
    #: The first of the pictures that were asked for and are not to be had.
    unreached: Sequence[Unreached]


def status(settings: Settings, database: Database) -> Status:
    """Return how far the newest batches are."""
    with database.reading() as session:
        batches = newest_batches(session, _NEWEST)
        trainings = [training_progress(session, one) for one in newest_trainings(session, _NEWEST)]
        progress = [batch_progress(session, one) for one in batches]
        return Status(progress, trainings, queue_state(database, session, settings))


def training_status(settings: Settings, database: Database, name: str) -> tuple[TrainingProgress, QueueState] | None:
    """Return how far the training is, and the queue; None where none is called so."""
    with database.reading() as session:
        training = find_training(session, name)
        if training is None:
            return None
        return training_progress(session, training), queue_state(database, session, settings)


def batch_status(settings: Settings, database: Database, name: str, most: int) -> BatchStatus:
    """Return how far the batch is, with `most` of its failures.

    Raises:
        NotFoundError: if there is no such batch.
    """
    with database.reading() as session:
        batch = find_batch(session, name)
        progress = batch_progress(session, batch)
        judged = is_judged(batch, progress)
        return BatchStatus(
            progress=progress,
            queue=queue_state(database, session, settings),
            failures=failures(session, batch.id, most),
            missing_pictures=missing_pictures(session, batch.id, open_store(settings)),
            standing=standing(session, batch.id) if judged else None,
            pace_s=recent_speed(session, batch.id) if judged else None,
            unreached=unreached(session, batch.id, most) if judged and progress.is_short else [],
        )


def queue_state(database: Database, session: Session, settings: Settings) -> QueueState:
    """Read it; where a worker is late with its sign of life, see whether the database could take one."""
    workers = known_workers(session, settings.stall_s)
    late = any(w.quiet_s is None or w.quiet_s > _MISSED * settings.heartbeat_s for w in workers)
    taken = {queue for worker in workers if worker.state is not WorkerState.SILENT for queue in worker.queues}
    waited_on = published_queues(session).union(segment.queue for segment in published_segments(session))
    untaken = [queue for queue in sorted(waited_on) if queue not in taken]
    return QueueState(paused_since(session), workers, untaken, database.trouble() if late else None)
