"""kombu's Redis transport, made to outlast what is on the queue and a server that is full.

kombu parses what it pops before anything can reject it: a list entry that is no message of kombu's (not JSON, or not an
object) raises out of its event loop, and Celery gives up. And it notes in Redis what it has popped: where a full server
refuses that, the message would be gone and the worker with it.
"""

from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.transport import redis as kombu_redis
from redis.exceptions import ResponseError

from worker.log import log


class _QoS(kombu_redis.QoS):
    def append(self, message: Any, delivery_tag: str) -> None:
        try:
            super().append(message, delivery_tag)
        except ResponseError as error:
            # The note would bring the message back if this worker died; the job's row does so too.
            log.debug("Redis does not note that a message is taken: %s", error)
            virtual.QoS.append(self, message, delivery_tag)


class _Channel(kombu_redis.Channel):
    QoS = _QoS

    def _brpop_read(self, **options: Any) -> Any:
        taken = set(self.qos._delivered)
        try:
            return super()._brpop_read(**options)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            log.warning("message dropped, it is no job of ours: %s", str(error)[:200])
            # One that was taken and not passed on would hold the place of all that follow.
            for tag in set(self.qos._delivered) - taken:
                self.qos.ack(tag)
            raise Empty from error


class Transport(kombu_redis.Transport):
    """The Redis transport of the worker."""

    Channel = _Channel


def install() -> None:
    """Have `redis://`, `rediss://` and `redis+socket://` broker URLs use this transport in this process."""
    for alias in ("redis", "rediss"):
        TRANSPORT_ALIASES[alias] = f"{__name__}:Transport"
