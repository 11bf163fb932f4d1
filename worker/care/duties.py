"""What a worker looks after beside its jobs."""

from collections.abc import Callable, Sequence

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from models.types.errors import BrokerError, DatabaseError
from worker.beat import Beat
from worker.events import Event
from worker.log import event, log


class Duties:
    """Does each duty in turn, once an interval; none of them keeps the others from being done."""

    def __init__(self, duties: Sequence[Callable[[], None]], interval_s: float) -> None:
        self._duties = duties
        self._beat = Beat("duties", interval_s, self._do_all)

    def start(self) -> None:
        """Begin."""
        self._beat.start()

    def stop(self) -> None:
        """Begin no further one; returns when the present one is over."""
        self._beat.stop()

    def _do_all(self) -> None:
        for duty in self._duties:
            self._do(duty)

    def _do(self, duty: Callable[[], None]) -> None:
        try:
            duty()
        except (DatabaseError, BrokerError, OperationalError, RedisError, OSError) as error:
            # What could not be looked at now can be in a moment; the worker's own connection tells of it too.
            log.debug("not looked after now: %s", error)
        except BaseException:  # noqa: BLE001 - whatever it is, the log has it
            # Without this thread nothing that is lost comes back, so nothing may end it.
            log.exception("a duty failed, and the next one follows", extra=event(Event.ROUND_FAILED))
