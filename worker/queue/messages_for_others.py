"""Messages that others have to work on, a newer worker or one of another data folder: put back, and said."""

import time

from celery import Celery

from models.types.errors import ElsewhereError
from models.types.message import NewerMessageError
from worker.events import Event
from worker.log import event, log
from worker.queue.publishing import publish_last
from worker.shutdown import Shutdown

#: Seconds between two lines in the log that say the same.
_SAID_AGAIN_S = 60.0


class MessagesForOthers:
    """Puts messages back at the end of the queue, so that those which this worker understands have their turn."""

    def __init__(self, app: Celery, wait_s: float, shutdown: Shutdown) -> None:
        """Wait for `wait_s` seconds each time that the whole queue has gone by."""
        self._app = app
        self._wait_s = wait_s
        self._shutdown = shutdown
        #: Tasks put back since the last wait: one that comes again has gone all the way round.
        self._gone_by: set[str] = set()
        self._said_at: float | None = None

    def return_to_queue(
        self, payload: object, task_id: str, queue: str, what: NewerMessageError | ElsewhereError
    ) -> None:
        """Send the message again, behind all others whatever its priority: it would be taken before them each time.

        Raises:
            BrokerError: if Redis is away or refuses it.
        """
        moment = time.monotonic()
        if self._said_at is None or moment - self._said_at >= _SAID_AGAIN_S:
            self._said_at = moment
            if isinstance(what, NewerMessageError):
                said, whom = Event.MESSAGE_NEWER, "a newer worker; upgrade Nightshift here"
            else:
                said, whom = Event.MESSAGE_ELSEWHERE, "a worker of that one, or give trainings a queue of their own"
            log.error("%s: put back for %s", what, whom, extra=event(said))
        if task_id in self._gone_by:
            self._shutdown.asked.wait(self._wait_s)
            self._gone_by.clear()
        publish_last(self._app, payload, task_id, queue)
        self._gone_by.add(task_id)
