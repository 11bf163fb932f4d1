"""Looking after the queue while a worker lives: jobs whose worker is gone, and messages that Redis does not hold."""

import time
from collections.abc import Collection, Hashable, Sequence
from typing import Generic, TypeVar

from celery import Celery

from models.boots import note_alive
from models.database import Database
from models.pauses import paused_since
from models.publication import due_retries, forget_published, lacks_messages
from models.rescue import RunningJob, rescue_stalled, running_jobs
from models.settings import Settings
from models.sweep_lease import Lease, other_lease, renew_lease
from worker.in_hand import InHand
from worker.log import event, log
from worker.publishing import messages_waiting, publish

#: Looks in a row at an empty queue before it is believed that messages were lost, not that they are on their way.
_EMPTY_LOOKS = 3
#: Jobs published again at once, which takes seconds; where more were lost, the queue is empty again after these.
_MOST_AT_ONCE = 10_000
_Sign = TypeVar("_Sign", bound=Hashable)


class _Silence(Generic[_Sign]):
    """Tells which signs of life have not changed for too long, by this process's own monotonic clock.

    Clocks of hosts differ, and a clock may be set back.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        #: When each was first seen.
        self._seen: dict[_Sign, float] = {}

    def silent(self, signs: Sequence[_Sign]) -> list[_Sign]:
        """Return those of the present signs that have been the same for longer than the limit."""
        moment = time.monotonic()
        self._seen = {sign: self._seen.get(sign, moment) for sign in signs}
        return [sign for sign, since in self._seen.items() if moment - since > self._limit_s]


class Sweep:
    """Looks once a heartbeat; what it publishes is what it found to be lost, never what waits in Redis."""

    def __init__(self, app: Celery, database: Database, settings: Settings, boot_id: int, in_hand: InHand) -> None:
        self._app = app
        self._database = database
        self._settings = settings
        self._boot_id = boot_id
        self._in_hand = in_hand
        self._jobs = _Silence[RunningJob](settings.stall_s)
        self._leases = _Silence[Lease](settings.stall_s)
        self._leads = False
        self._empty_looks = 0

    def look(self) -> None:
        """Give a sign of life; put back what stalled, and publish what waits in the database alone.

        Where several workers share a database, one of them does the latter two, as long as it gets through.

        Raises:
            DatabaseError: if the database cannot be used.
            BrokerError, RedisError, OSError: if Redis cannot be used; another worker may have better luck.
        """
        with self._database.writing() as session:
            note_alive(session, self._boot_id)
            # Watched all the while, so that nobody waits for it anew after a worker that looked before.
            stalled = self._jobs.silent([job for job in running_jobs(session) if not self._is_at_work(job)])
            other = other_lease(session, self._boot_id)
            leads = other is None or other in self._leases.silent([other])
            if leads and not self._leads:
                renew_lease(session, self._boot_id)
        self._leads = leads
        if not leads:
            self._empty_looks = 0
            return
        self._look_after_all(stalled)
        # Not before: a worker that cannot reach Redis leaves it to another one.
        with self._database.writing() as session:
            renew_lease(session, self._boot_id)

    def _is_at_work(self, job: RunningJob) -> bool:
        """Tell whether a thread of this worker has the job, so that its row's silence means nothing."""
        return job.boot_id == self._boot_id and self._in_hand.has(job.job_id, job.attempt_number)

    def _look_after_all(self, stalled: Sequence[RunningJob]) -> None:
        self._rescue(stalled)
        with self._database.reading() as session:
            retries = due_retries(session)
        self._publish(retries)
        self._empty_looks = self._empty_looks + 1 if self._looks_lost() else 0
        if self._empty_looks < _EMPTY_LOOKS:
            return
        self._empty_looks = 0
        with self._database.writing() as session:
            forget_published(session, limit=_MOST_AT_ONCE)
        # And with these what was recorded while Redis was away.
        self._publish()

    def _looks_lost(self) -> bool:
        """Tell whether jobs wait and the queue is empty, as it also is while `enqueue` sends the first messages."""
        if messages_waiting(self._app):
            return False
        with self._database.reading() as session:
            # Workers that are paused have each taken a message, and hold it until the pause is over.
            return paused_since(session) is None and lacks_messages(session)

    def _rescue(self, stalled: Sequence[RunningJob]) -> None:
        """Put back jobs of which no worker gave a sign of life for as long as the settings allow."""
        if not stalled:
            return
        with self._database.writing() as session:
            rescued = rescue_stalled(session, self._boot_id, stalled, self._settings.quarantine_after)
        for job_id in rescued.queued:
            log.warning(
                "job %d: its worker gave no sign of life for %g s; put back",
                job_id,
                self._settings.stall_s,
                extra=event("job.rescued", job=job_id),
            )
        for job_id in rescued.quarantined:
            log.error(
                "job %d is set aside: its worker went away too often while it ran",
                job_id,
                extra=event("job.quarantined", job=job_id),
            )

    def _publish(self, jobs: Collection[int] | None = None) -> None:
        if jobs is not None and not jobs:
            return
        count = publish(self._app, self._database, jobs=jobs)
        if count:
            log.warning("published %d jobs that were not on the queue", count, extra=event("jobs.published"))
