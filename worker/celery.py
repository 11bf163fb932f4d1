"""The Celery app, and publishing to its queue: the one module of `worker` that the producer imports.

`celery -A worker worker` finds `app` here. The settings below came out of fault runs against a real
server: a threads pool answers remote control while a picture is made, and Metal survives no fork; late
acknowledgement with a prefetch of 1 keeps every waiting message in Redis.
"""

import sys
from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from models.batches import CHUNK, mark_published, unpublished
from models.database import Database
from models.errors import BrokerError, SettingsError
from models.job import LOWEST_PRIORITY, JobMessage
from models.settings import Settings, load_settings, without_password
from models.tables import now

TASK = "nightshift.generate"
QUEUE = "jobs"
#: Every key of ours in Redis begins so, in case the server is shared.
KEY_PREFIX = "nightshift:"
#: Longer than any job runs: a message comes back by itself only after this many seconds.
VISIBILITY_TIMEOUT_S = 86_400
SOCKET_TIMEOUT_S = 5


class _App(Celery):
    @cached_property
    def Worker(self) -> Any:  # noqa: N802 - Celery's name for it
        """The worker program; imported only in a worker process, since it brings torch."""
        return self.subclass_with_self("worker.program:Program", name="Worker")


def make_app(settings: Settings) -> Celery:
    """Return the Celery app for the broker that the settings name."""
    app = _App("nightshift", broker=settings.broker_url)
    app.conf.update(
        worker_pool="threads",
        worker_concurrency=1,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,
        task_ignore_result=True,
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_transport_options={
            "global_keyprefix": KEY_PREFIX,
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": SOCKET_TIMEOUT_S,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "priority_steps": list(range(LOWEST_PRIORITY + 1)),
            "queue_order_strategy": "priority",
        },
    )
    return app


def publish(
    app: Celery,
    database: Database,
    batch_id: int | None = None,
    *,
    jobs: Collection[int] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Put every queued job that is not on the queue there, in its order, and return how many.

    A job is marked once its message is on the queue; a crash between the two publishes it again later,
    and the second delivery finds nothing to claim. `batch_id` limits it to one batch, `jobs` to these; `progress` is
    told how many more are done.

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
                with producer.batch(CHUNK):
                    for message, priority in page:
                        _send(app, producer, message, priority)
                sent = [message.job for message, _ in page]
                with database.writing() as session:
                    mark_published(session, sent, now())
                after = sent[-1]
                published += len(sent)
                progress(len(sent))
    except (OperationalError, RedisError, OSError) as error:
        raise explain_broker_error(app, error) from error


def messages_waiting(app: Celery) -> int:
    """Return how many messages lie in the queue; one that a worker has taken is not among them.

    Raises:
        RedisError, OSError: if Redis cannot be asked.
    """
    with app.connection_for_write() as connection:
        # Not passively: kombu then asks for a key without the prefix that all keys of ours have, and finds no queue.
        return int(connection.default_channel.queue_declare(QUEUE).message_count)


def explain_broker_error(app: Celery, error: Exception) -> BrokerError:
    """Return one line on what is wrong with Redis and what to do."""
    url = without_password(app.conf.broker_url)
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


def _send(app: Celery, producer: Any, message: JobMessage, priority: int) -> None:
    app.send_task(
        TASK,
        args=[message.model_dump()],
        task_id=f"{message.batch}-{message.job}",
        producer=producer,
        priority=priority,
        retry=False,
    )


try:
    app = make_app(load_settings())
except SettingsError as error:
    # Celery would print a traceback of a failed import; the one line says all there is.
    sys.exit(str(error))
