"""The Celery task: from a delivery to an attempt."""

from collections.abc import Callable, Sequence
from typing import Any

from celery import Task
from celery.exceptions import InvalidTaskError, Reject
from celery.worker.strategy import default
from pydantic import ValidationError

from models.types.errors import AttemptStoppedError, BrokerError, DatabaseError, ElsewhereError, StorageError
from models.types.message import JobMessage, NewerMessageError, SegmentMessage, read_message
from worker.attempt.claiming import Claimer
from worker.attempt.runner import AttemptRunner
from worker.events import Event
from worker.log import event, log
from worker.queue.app import TASK
from worker.queue.deliveries import Deliveries, Delivery
from worker.queue.messages_for_others import MessagesForOthers
from worker.segment.runner import SegmentRunner
from worker.shutdown import Shutdown

#: Headers of Celery's second protocol: those that name things, and those that want something done.
_NAMES = ("id", "root_id", "parent_id", "argsrepr", "kwargsrepr", "origin")
_INSTRUCTIONS = (
    *("shadow", "eta", "expires", "group", "retries", "timelimit", "ignore_result", "replaced_task_nesting"),
    *("stamps", "stamped_headers"),
)
#: What stands there in a message that wants nothing.
_NOTHING: tuple[object, ...] = (None, 0, [], {}, [None, None])


class GenerateTask(Task):
    """Makes a job for a message, or takes steps of a training: on the pool's one thread, which owns the device."""

    name = TASK
    ignore_result = True
    acks_late = True
    Strategy = f"{__name__}:strategy"

    def __init__(
        self,
        claimer: Claimer,
        runner: AttemptRunner,
        segments: SegmentRunner,
        for_others: MessagesForOthers,
        deliveries: Deliveries,
        shutdown: Shutdown,
        queues: Sequence[str],
    ) -> None:
        """Make jobs of these queues, and of no other, whatever a message says."""
        self._claimer = claimer
        self._runner = runner
        self._segments = segments
        self._for_others = for_others
        self.deliveries = deliveries
        self._shutdown = shutdown
        self._queues = queues

    def run(self, *args: Any, **kwargs: Any) -> None:
        """Make a job for the message; a message that is none of ours is dropped with a line in the log."""
        payload = args[0] if len(args) == 1 and not kwargs else None
        named = self.request.delivery_info["routing_key"]
        queue = named if named in self._queues else self._queues[0]
        with self.deliveries.taking(self.request.properties["delivery_tag"]) as delivery:
            try:
                message = read_message(payload)
            except NewerMessageError as error:
                self._return(payload, queue, error)
                return
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                where = ".".join(map(str, first["loc"])) or "message"
                log.warning(
                    "message dropped, it is no job of ours: %s: %s",
                    where,
                    first["msg"],
                    extra=event(Event.MESSAGE_DROPPED),
                )
                return
            if isinstance(message, SegmentMessage):
                self._train(message, payload, queue)
            # As many messages as jobs, so that whoever looks after the queue can tell what is lost.
            elif not self.deliveries.is_spent(queue):
                self._make(message, queue, delivery)

    def _return(self, payload: object, queue: str, what: NewerMessageError | ElsewhereError) -> None:
        try:
            self._for_others.return_to_queue(payload, self.request.id, queue, what)
        except BrokerError as error:
            raise Reject(error, requeue=True) from error

    def _train(self, message: SegmentMessage, payload: object, queue: str) -> None:
        try:
            self._segments.run(message)
        except ElsewhereError as error:
            self._return(payload, queue, error)
        except (AttemptStoppedError, StorageError, DatabaseError) as error:
            raise self._back(error, f"training {message.training}") from error

    def _make(self, message: JobMessage, queue: str, delivery: Delivery) -> None:
        job_id = message.job
        try:
            if claims := self._claimer.claim(message, queue):
                job_id = claims[0].job_id
                self.deliveries.use(len(claims), queue)
                self._runner.run(claims, delivery.acknowledge)
        except (AttemptStoppedError, StorageError, DatabaseError) as error:
            raise self._back(error, f"job {job_id}", job=job_id) from error

    def _back(self, error: Exception, what: str, **ids: object) -> Reject:
        """Return what puts the message back on the queue: if not even the claim could be written, it is all there is.

        The others come where the worker was told to end before it claimed anything.
        """
        if isinstance(error, DatabaseError):
            self._shutdown.cannot_record(what, error, **ids)
        return Reject(error, requeue=True)


def strategy(task: GenerateTask, app: Any, consumer: Any) -> Callable[..., None]:
    """Return Celery's own handler of a message of this task, behind a look at what Celery does not look at.

    Beside its arguments a message may say what is to be done before, with and after the task, which this queue never
    does. Where that is spoiled, Celery fails on the pool's thread, and the message is never acknowledged: it would hold
    the worker's one place for ever.
    """
    handle: Callable[..., None] = default(task, app, consumer)

    def look_and_handle(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any) -> None:
        match message.payload:
            case [list(), dict(), dict() as embed] if not any(embed.values()) and _names_only(message.headers):
                delivery = Delivery(ack, reject, consumer.connection_errors)
                task.deliveries.arrived(message.delivery_tag, delivery)
                handle(message, body, delivery.ack, delivery.reject, callbacks)
            case _:
                raise InvalidTaskError("not of the form that this queue's messages have.")

    return look_and_handle


def _names_only(headers: dict[str, Any]) -> bool:
    """Tell whether a message's headers name things as Celery does, and want nothing done with the task."""
    named = all(isinstance(headers.get(name), str | None) for name in _NAMES)
    return named and all(headers.get(instruction) in _NOTHING for instruction in _INSTRUCTIONS)
