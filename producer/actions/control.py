"""Cancelling, trying again, pausing and going on."""

from dataclasses import dataclass

from models.records.control import batch_scope, job_scope, replace_rejected
from models.records.control import cancel as cancel_jobs
from models.records.control import retry as retry_jobs
from models.records.database import Database
from models.records.trainings.trainings import KnownTraining, cancel_training, find_training, retry_training
from models.settings import Settings
from models.types.errors import BrokerError
from models.types.states import FAULTY, JobState
from producer.actions.enqueue import publish_jobs
from producer.actions.progress import Progress, unseen
from producer.actions.training import publish_training
from worker.queue.app import make_app
from worker.queue.withdrawal import withdraw


@dataclass(frozen=True)
class Cancelled:
    """How many queued jobs were cancelled, and how many running ones are to stop at their next step."""

    queued: int
    running: int
    #: Why messages of them are still on the queue, for workers to drop; None where none is.
    left_on_queue: str | None = None


def cancel(settings: Settings, database: Database, *, batch: str | None = None, job: int | None = None) -> Cancelled:
    """Cancel a batch, or one job: a queued one at once, a running one at its next step.

    Raises:
        NotFoundError: if there is none.
    """
    with database.writing() as session:
        scope = batch_scope(session, batch) if job is None else job_scope(session, job)
        queued, running = cancel_jobs(session, scope)
    if not queued or scope.batch_id is None:
        return Cancelled(queued, running)
    try:
        withdraw(make_app(settings), database, scope.batch_id)
    except BrokerError as error:
        return Cancelled(queued, running, str(error))
    return Cancelled(queued, running)


def cancel_training_of(database: Database, name: str) -> tuple[JobState, JobState] | None:
    """Cancel the training of that name, and return its state before and after that; None where there is none.

    Its message is dropped by the worker that comes to it.
    """
    with database.writing() as session:
        training = find_training(session, name)
        return None if training is None else (training.state, cancel_training(session, training.id))


def retry_training_of(
    settings: Settings, database: Database, name: str, *, cancelled: bool
) -> tuple[KnownTraining, bool] | None:
    """Queue the training of that name again where it failed, or, if `cancelled`, was; None where there is none.

    Returns what it was before, and whether it was queued.

    Raises:
        BrokerError: as `publish_training` does.
    """
    with database.writing() as session:
        training = find_training(session, name)
        again = training is not None and retry_training(session, training.id, cancelled=cancelled)
    if training is None:
        return None
    publish_training(settings, database, training.uid)
    return training, again


@dataclass(frozen=True)
class Retried:
    """What was queued again: a batch or a job by its name, in which states jobs were looked for, and how many."""

    name: str
    states: tuple[JobState, ...]
    count: int


def retry(
    settings: Settings,
    database: Database,
    *,
    batch: str | None = None,
    job: int | None = None,
    cancelled: bool = False,
    progress: Progress = unseen,
) -> Retried:
    """Queue faulty jobs again, `cancelled` ones too, and what stands in for rejected pictures that lack it.

    Raises:
        NotFoundError: if there is no such batch or job.
        BrokerError: as `publish_jobs` does.
    """
    states = (*FAULTY, JobState.CANCELLED) if cancelled else FAULTY
    with database.writing() as session:
        scope = batch_scope(session, batch) if job is None else job_scope(session, job)
        count = retry_jobs(session, scope, states) + replace_rejected(session, scope)
    if count:
        publish_jobs(settings, database, count, progress=progress)
    return Retried(scope.name, states, count)
