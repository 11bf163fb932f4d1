"""The queues: their keys in Redis, and the Celery app that both sides reach them with.

The settings below came out of fault runs against a real server: a threads pool answers while a picture is made, and
Metal survives no fork; late acknowledgement with a prefetch of 1 keeps every waiting message in Redis.
"""

from functools import cached_property
from typing import Any

from celery import Celery
from kombu import Queue

from models.settings import Settings
from models.types.job import LOWEST_PRIORITY

TASK = "nightshift.generate"
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
        worker_send_task_events=settings.celery_events,
        task_send_sent_event=settings.celery_events,
        # Whoever may write to Redis could end the worker by it, or have it drop jobs.
        worker_enable_remote_control=settings.remote_control,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,
        task_ignore_result=True,
        task_default_queue=settings.queue_names[0],
        task_queues=[Queue(name) for name in settings.queue_names],
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
