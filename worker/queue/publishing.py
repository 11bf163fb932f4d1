"""Putting jobs on the queue, counting what waits there, and saying what is wrong with Redis."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from celery import Celery
from kombu import Queue
from kombu.exceptions import BatchPublishError, OperationalError
from redis.exceptions import RedisError

from models.broker_url import shown_broker_url
from models.records.batches import CHUNK
from models.records.claims import refuse
from models.records.database import Database
from models.records.publication import Unpublished, mark_published, unpublished
from models.records.trainings.publication import mark_segments_published, unpublished_segments
from models.types.clock import now
from models.types.errors import BrokerError
from models.types.job import LOWEST_PRIORITY
from worker.queue.app import SOCKET_TIMEOUT_S, TASK
from worker.queue.traces import traceparent


def publish(
    app: Celery,
    database: Database,
    batch_id: int | None = None,
    *,
    jobs: Collection[int] | None = None,
    progress: Callable[[int], None] = lambda _: None,
    sent: Callable[[Sequence[Unpublished]], None] = lambda _: None,
) -> int:
    """Put every queued job that is not on its queue there, in its order, and return how many.

    A job is marked once its message is on the queue; a crash between the two publishes it again later, and a message
    more than there are jobs finds nothing to claim. `batch_id` limits it to one batch, `jobs` to these; `progress` is
    told how many more are done, and `sent` which jobs have a message now.

    Raises:
        BrokerError: if Redis is away or refuses us; what is not published stays queued in the database.
    """
    published = after = 0
    try:
        # No retries: the user is told at once, and nothing is lost by trying again later.
        with app.connection_for_write(connect_timeout=SOCKET_TIMEOUT_S) as connection:
            connection.connect()
            producer = app.amqp.Producer(connection, auto_declare=False)
            while True:
                with database.reading() as session:
                    page = unpublished(session, batch_id=batch_id, jobs=jobs, after=after)
                if not page:
                    return published
                messages = []
                with producer.batch(CHUNK):
                    for job in page:
                        if job.message is not None:
                            _send(
                                app,
                                job.message.model_dump(),
                                task_id(job.message.job, job.message.batch),
                                job.queue,
                                job.priority,
                                producer,
                                {"traceparent": traceparent(job.message)},
                            )
                            messages.append(job)
                with database.writing() as session:
                    for job in page:
                        if job.problem is not None:
                            refuse(session, job.job_id, job.problem)
                    mark_published(session, [job.job_id for job in messages], now())
                after = page[-1].job_id
                published += len(messages)
                sent(messages)
                progress(len(page))
    except (OperationalError, BatchPublishError, RedisError, OSError) as error:
        raise explain_broker_error(app, error) from error


def publish_segments(app: Celery, database: Database, uid: str | None = None) -> int:
    """Put the next segment of every queued training that is not on its queue there, or of one, and return how many.

    Raises:
        BrokerError: if Redis is away or refuses us; what is not published stays queued in the database.
    """
    with database.reading() as session:
        waiting = unpublished_segments(session, uid)
    if not waiting:
        return 0
    try:
        for segment in waiting:
            message = segment.message
            name = task_id(message.training, message.uid)
            headers = {"traceparent": traceparent(message)}
            _send(app, message.model_dump(), name, segment.queue, segment.priority, headers=headers)
    except (OperationalError, RedisError, OSError) as error:
        raise explain_broker_error(app, error) from error
    with database.writing() as session:
        mark_segments_published(session, [segment.message.training for segment in waiting], now())
    return len(waiting)


def task_id(number: int, uid: str) -> str:
    """Return the id that the message of a job, or of a training, has on the queue; a job's has its batch's uid."""
    return f"{uid}-{number}"


def batch_of(task_id: str) -> str:
    """Return the uid of the batch that such an id names."""
    return task_id.partition("-")[0]


def messages_waiting(app: Celery, queues: Iterable[str]) -> int:
    """Return how many messages lie in these queues; one that a worker has taken is not among them.

    Raises:
        RedisError, OSError: if Redis cannot be asked.
    """
    with app.connection_for_write() as connection:
        # Not passively: kombu then asks for a key without the prefix that all keys of ours have, and finds no queue.
        return sum(int(connection.default_channel.queue_declare(queue).message_count) for queue in queues)


def explain_broker_error(app: Celery, error: Exception) -> BrokerError:
    """Return one line on what is wrong with Redis and what to do."""
    url = shown_broker_url(app.conf.broker_url)
    reason = (str(error.__cause__ or error) or type(error).__name__).splitlines()[0]
    if any(word in reason for word in ("WRONGPASS", "NOAUTH", "invalid username-password", "Authentication")):
        return BrokerError(
            f"Redis at {url} does not let us in ({reason}): NIGHTSHIFT_BROKER_URL=redis://:PASSWORD@HOST:PORT/0"
        )
    if "maxmemory" in reason:
        return BrokerError(f"Redis at {url} is full: raise its maxmemory, or wait until the queue is shorter")
    return BrokerError(
        f"Redis at {url} cannot be used ({reason}): start it with `docker compose up redis`, "
        "or set NIGHTSHIFT_BROKER_URL"
    )


def publish_last(app: Celery, payload: object, task_id: str, queue: str) -> None:
    """Put what a message carried on a queue once more, behind all others.

    Raises:
        BrokerError: if Redis is away or refuses it.
    """
    try:
        _send(app, payload, task_id, queue, LOWEST_PRIORITY)
    except (OperationalError, RedisError, OSError) as error:
        raise explain_broker_error(app, error) from error


def _send(
    app: Celery,
    payload: object,
    task_id: str,
    queue: str,
    priority: int,
    producer: Any = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    app.send_task(
        TASK,
        args=[payload],
        task_id=task_id,
        producer=producer,
        queue=Queue(queue),
        priority=priority,
        headers=headers,
        retry=False,
    )
