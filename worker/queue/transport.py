"""kombu's Redis transport, made to outlast what is on the queue, a server that is full, and one that is frozen.

kombu parses what it pops before anything can reject it: a list entry that is no message of kombu's (not JSON, or not an
object) raises out of its event loop, and Celery gives up. And it notes in Redis what it has popped: where a full server
refuses that, the message would be gone and the worker with it. And it counts a message as taken until Redis has
confirmed its acknowledgement: where a frozen server does not, the one place of a prefetch of 1 is held for ever, and
the worker takes nothing more although its link is whole again. And it unpacks what says that it is compressed, however
large that becomes.
"""

from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.transport import redis as kombu_redis
from redis.exceptions import ResponseError

from worker.events import Event
from worker.log import event, log


class QoS(kombu_redis.QoS):
    """The messages that were taken and not acknowledged yet."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Acknowledged, but not yet struck from what Redis notes as taken.
        self._late: set[str] = set()

    def ack(self, delivery_tag: str) -> None:
        """Free the message's place, and have Redis no longer note it as taken."""
        self._late.add(delivery_tag)
        # The place is free whatever Redis says: what became of the job stands in its row.
        virtual.QoS.ack(self, delivery_tag)
        self.strike(self._late)
        self._late.clear()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Free the message's place, and drop it or put it back."""
        try:
            if requeue:
                # Where it was taken from: kombu's own way puts it behind all others.
                self.restore_by_tag(delivery_tag)
            else:
                super().reject(delivery_tag)
        finally:
            virtual.QoS.ack(self, delivery_tag)

    def held(self) -> set[str]:
        """Return the tags of the messages that hold a place."""
        held: set[str] = set(self._delivered) - self._dirty
        return held

    def strike(self, tags: set[str]) -> None:
        """Have Redis no longer note these as taken."""
        with self.pipe_or_acquire() as pipe:
            pipe.zrem(self.unacked_index_key, *tags).hdel(self.unacked_key, *tags).execute()

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note that a message is taken."""
        try:
            super().append(message, delivery_tag)
        except ResponseError as error:
            # The note would bring the message back if this worker died; the job's row does so too.
            log.debug("Redis does not note that a message is taken: %s", error)
            virtual.QoS.append(self, message, delivery_tag)


class _Message(virtual.Message):
    def __init__(self, payload: Any, *args: Any, **kwargs: Any) -> None:
        # kombu would unpack it here, before anybody has looked: 780 kB may become a gigabyte.
        if "compression" in payload["headers"]:
            raise ValueError("it is compressed, as no message of this queue is")
        super().__init__(payload, *args, **kwargs)


class Channel(kombu_redis.Channel):
    """One user's way to the server."""

    QoS = QoS
    Message = _Message

    def _brpop_read(self, **options: Any) -> Any:
        held = self.qos.held()
        try:
            return super()._brpop_read(**options)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            log.warning(
                "message dropped, it is no job of ours: %s", str(error)[:200], extra=event(Event.MESSAGE_DROPPED)
            )
            # One that was taken and not passed on would hold the place of all that follow.
            for tag in self.qos.held() - held:
                self.qos.ack(tag)
            raise Empty from error


class Transport(kombu_redis.Transport):
    """The Redis transport of the worker."""

    Channel = Channel


def install(transport: type[Transport]) -> None:
    """Have `redis://`, `rediss://` and `redis+socket://` broker URLs use this transport in this process."""
    for alias in ("redis", "rediss"):
        TRANSPORT_ALIASES[alias] = f"{transport.__module__}:{transport.__qualname__}"
