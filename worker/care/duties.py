"""What a worker looks after beside its jobs: duties, done in turn; one of them is to notice another database."""

from collections.abc import Callable, Sequence

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from models.records.database import Database
from models.types.errors import BrokerError, DatabaseError
from worker.beat import Beat
from worker.events import Event
from worker.log import event, log
from worker.shutdown import Shutdown


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
            log.exception("a duty failed, and the next one follows", extra=event(Event.DUTY_FAILED))


#: Looks in a row: between moving one file away and another one there, there is none.
_LOOKS = 2


class DatabaseWatch:
    """Looks once a heartbeat; the worker begins anew with what is there, and until then writes to the one it opened."""

    def __init__(self, database: Database, shutdown: Shutdown) -> None:
        self._database = database
        self._shutdown = shutdown
        self._looks = 0

    def look(self) -> None:
        """Have the worker begin anew if the file is another one at the second look in a row."""
        self._looks = self._looks + 1 if self._database.is_replaced() else 0
        if self._looks == _LOOKS:
            log.warning(
                "the file of the database %s is another one now: the worker finishes its job and begins anew with that",
                self._database.shown_url,
                extra=event(Event.DATABASE_REPLACED),
            )
            self._shutdown.begin_anew()
