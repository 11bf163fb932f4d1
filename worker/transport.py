"""kombu's Redis transport, with foreign messages dropped instead of ending the worker.

kombu parses what it pops before anything can reject it: a list entry that is no message of kombu's
(not JSON, or not an object) raises out of its event loop, and Celery gives up.
"""

from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis

from worker.log import log


class _Channel(kombu_redis.Channel):
    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("message dropped, it is no job of ours: %s", error)
            raise Empty from error


class Transport(kombu_redis.Transport):
    """The Redis transport of the worker."""

    Channel = _Channel


def install() -> None:
    """Have `redis://`, `rediss://` and `redis+socket://` broker URLs use this transport in this process."""
    for alias in ("redis", "rediss"):
        TRANSPORT_ALIASES[alias] = f"{__name__}:Transport"
