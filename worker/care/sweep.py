"""Looking after the queue while a worker lives: jobs whose worker is gone, and messages that Redis does not hold."""

import time
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from celery import Celery

from models.records.boots import note_alive
from models.records.control import paused_since
from models.records.database import Database
from models.records.publication import (
    batch_uids,
    count_published,
    due_retries,
    first_unpublished,
    forget_published,
    last_published,
    published_nowhere,
    published_queues,
)
from models.records.rescue import RunningJob, rescue_stalled, running_jobs
from models.records.trainings.publication import (
    mark_segments_published,
    published_segments,
    unpublished_segments,
)
from models.records.trainings.segments import RunningTraining, rescue_segments, running_trainings
from models.records.trainings.spoilt import fail_spoilt, spoilt_trainings
from models.records.workers import Lease, other_lease, renew_lease
from models.settings import Settings
from worker.care.in_hand import InHand
from worker.events import Event
from worker.log import event, log
from worker.queue.content import read_queue
from worker.queue.deliveries import Deliveries
from worker.queue.publishing import batch_of, messages_waiting, publish, publish_segments, task_id

#: Looks in a row at which messages are not there before they are believed to be lost, and not on their way.
_LOOKS = 3
#: Jobs published again at once, which takes seconds; where more were lost, the others follow.
_MOST_AT_ONCE = 10_000
#: The share of time for looking through a queue: a long one takes seconds, in which the device's thread is held up.
_SHARE = 0.01
_Sign = TypeVar("_Sign", bound=Hashable)


class _Silence(Generic[_Sign]):
    """Tells which signs of life have not changed for too long, by this process's own monotonic clock.

    Clocks of hosts differ, and a clock may be set back. What passes between two looks counts as no more than a few of
    them: where this worker could not look, because nobody could write, the others could give no sign either.
    """

    def __init__(self, limit_s: float, interval_s: float) -> None:
        """Expect a look each `interval_s` seconds."""
        self._limit_s = limit_s
        self._longest_s = _LOOKS * interval_s
        self._looked: float | None = None
        #: For how long each has been the same.
        self._quiet_s: dict[_Sign, float] = {}

    def silent(self, signs: Sequence[_Sign]) -> list[_Sign]:
        """Return those of the present signs that have been the same for longer than the limit."""
        moment = time.monotonic()
        passed_s = 0.0 if self._looked is None else min(moment - self._looked, self._longest_s)
        self._looked = moment
        self._quiet_s = {sign: self._quiet_s[sign] + passed_s if sign in self._quiet_s else 0.0 for sign in signs}
        return [sign for sign, quiet_s in self._quiet_s.items() if quiet_s > self._limit_s]


class _Repeated(Generic[_Sign]):
    """Tells what was the same at so many looks in a row."""

    def __init__(self) -> None:
        self._looks: dict[_Sign, int] = {}

    def often(self, present: Iterable[_Sign]) -> list[_Sign]:
        """Return those of the present ones that were there at `_LOOKS` looks; they begin anew then."""
        looks = {sign: self._looks.get(sign, 0) + 1 for sign in present}
        often = [sign for sign, count in looks.items() if count >= _LOOKS]
        self._looks = {sign: count for sign, count in looks.items() if count < _LOOKS}
        return often

    def forget(self) -> None:
        """Begin anew."""
        self._looks = {}


class Sweep:
    """Looks once a heartbeat; what it publishes is what it found to be lost, never what waits in Redis."""

    def __init__(
        self,
        app: Celery,
        database: Database,
        settings: Settings,
        boot_id: int,
        in_hand: InHand,
        deliveries: Deliveries,
    ) -> None:
        self._app = app
        self._database = database
        self._settings = settings
        self._boot_id = boot_id
        self._in_hand = in_hand
        self._deliveries = deliveries
        self._jobs = _Silence[RunningJob](settings.stall_s, settings.heartbeat_s)
        self._leases = _Silence[Lease](settings.stall_s, settings.heartbeat_s)
        self._leads = False
        #: How many messages were too few at the last looks.
        self._too_few: defaultdict[str, list[int]] = defaultdict(list)
        #: Its worker's own, and those where jobs waited at the last look through all of them.
        self._queues: Sequence[str] = settings.queue_names
        #: Batches that nobody publishes, with their first jobs.
        self._left = _Repeated[tuple[int, int]]()
        #: Trainings whose next segment nobody publishes, and those for which there is no message, by uid.
        self._left_segments, self._lost_segments = _Repeated[str](), _Repeated[str]()
        self._trainings = _Silence[RunningTraining](settings.stall_s, settings.heartbeat_s)
        self._next_look_through = 0.0

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
            running = [one for one in running_trainings(session) if one.boot_id != self._boot_id]
            stalled_trainings = self._trainings.silent(running)
            other = other_lease(session, self._boot_id)
            leads = other is None or other in self._leases.silent([other])
            if leads and not self._leads:
                renew_lease(session, self._boot_id)
        self._leads = leads
        if not leads:
            self._too_few.clear()
            for looks in (self._left, self._left_segments, self._lost_segments):
                looks.forget()
            return
        self._look_after_all(stalled, stalled_trainings)
        # Not before: a worker that cannot reach Redis leaves it to another one.
        with self._database.writing() as session:
            renew_lease(session, self._boot_id)

    def _is_at_work(self, job: RunningJob) -> bool:
        """Tell whether a thread of this worker has the job, so that its row's silence means nothing."""
        return job.boot_id == self._boot_id and self._in_hand.has(job.job_id, job.attempt_number)

    def _look_after_all(self, stalled: Sequence[RunningJob], stalled_trainings: Sequence[RunningTraining]) -> None:
        self._rescue(stalled)
        self._rescue_trainings(stalled_trainings)
        with self._database.reading() as session:
            retries = due_retries(session)
        self._publish(retries)
        self._publish_left()
        self._publish_left_segments()
        self._publish_lost()

    def _publish_left(self) -> None:
        """Publish what was recorded while Redis was away."""
        with self._database.reading() as session:
            left = self._left.often(first_unpublished(session))
        for batch_id, _ in left:
            self._publish(batch_id=batch_id)

    def _publish_lost(self) -> None:
        """Publish again as many jobs as there are too few messages for; which ones is all the same to a claim."""
        begun = time.monotonic()
        # What is lost of a long queue is not needed at once; an empty one is looked through in no time.
        if begun < self._next_look_through:
            for queue in self._queues:
                if messages_waiting(self._app, [queue]) == 0:
                    self._look_through(queue)
            return
        with self._database.reading() as session:
            self._queues = sorted({*published_queues(session), *self._settings.queue_names})
            nowhere = published_nowhere(session)
        if nowhere:
            # Rows that somebody spoiled: publishing them once more finds that, and they fail with the reason.
            with self._database.writing() as session:
                forget_published(session, jobs=nowhere)
            self._publish(nowhere)
        for gone in self._too_few.keys() - set(self._queues):
            del self._too_few[gone]
        for queue in self._queues:
            self._look_through(queue)
        self._forget_lost_segments()
        self._next_look_through = time.monotonic() + (time.monotonic() - begun) / _SHARE

    def _rescue_trainings(self, stalled: Sequence[RunningTraining]) -> None:
        if not stalled:
            return
        with self._database.writing() as session:
            names = rescue_segments(session, self._boot_id, self._settings.tries, stalled)
        for name in names:
            log.warning(
                "training %s: its worker gave no sign of life for %g s; put back",
                name,
                self._settings.stall_s,
                extra=event(Event.TRAININGS_RESCUED),
            )

    def _publish_left_segments(self) -> None:
        """Publish segments that nobody else does."""
        with self._database.reading() as session:
            is_spoilt = bool(spoilt_trainings(session))
        if is_spoilt:
            with self._database.writing() as session:
                spoilt = fail_spoilt(session)
            for number, what in spoilt.items():
                log.error("training %d failed: %s", number, what, extra=event(Event.TRAINING_REFUSED))
        with self._database.reading() as session:
            left = [segment.message.uid for segment in unpublished_segments(session)]
        for uid in self._left_segments.often(left):
            if publish_segments(self._app, self._database, uid):
                log.warning("published a training that was not on the queue", extra=event(Event.JOBS_PUBLISHED))

    def _forget_lost_segments(self) -> None:
        """Have segments be published again whose messages are in Redis no more.

        One that another worker has taken counts as lost: it may be gone. A message too many is dropped.
        """
        with self._database.reading() as session:
            published = published_segments(session)
        lost: dict[str, int] = {}
        for queue in {segment.queue for segment in published}:
            content = read_queue(self._app, queue)
            here = {task for tag, task in content.taken.items() if self._deliveries.has(tag)}
            present = here.union(content.waiting.values())
            for segment in published:
                message = segment.message
                if segment.queue == queue and task_id(message.training, message.uid) not in present:
                    lost[message.uid] = message.training
        if gone := [lost[uid] for uid in self._lost_segments.often(lost)]:
            with self._database.writing() as session:
                mark_segments_published(session, gone, None)

    def _look_through(self, queue: str) -> None:
        with self._database.reading() as session:
            expected = count_published(session, queue)
            known = batch_uids(session)
        too_few = self._too_few[queue]
        # After the rows: what was published before they were read is on the queue now, or was used for a job.
        too_few.append(expected - self._messages_of(queue, known) if expected else 0)
        if too_few[-1] <= 0:
            too_few.clear()
        if len(too_few) < _LOOKS:
            return
        # The fewest: others were on their way at one of the looks.
        lost = min(*too_few, _MOST_AT_ONCE)
        too_few.clear()
        with self._database.writing() as session:
            jobs = last_published(session, queue, lost)
            forget_published(session, jobs=jobs)
        self._publish(jobs)

    def _messages_of(self, queue: str, batches: Collection[str]) -> int:
        """Return how many messages of these batches wait, or are in a worker's hands for a job that is yet to begin.

        Those are left out that this worker is going to drop, since their jobs were made with others.
        """
        content = read_queue(self._app, queue)
        elsewhere = sum(
            batch_of(task) in batches for tag, task in content.taken.items() if not self._deliveries.has(tag)
        )
        here = sum(self._deliveries.holds(tag) for tag, task in content.taken.items() if batch_of(task) in batches)
        here -= self._deliveries.spent[queue]
        waiting = sum(batch_of(task) in batches for task in content.waiting.values())
        # What others have taken: a worker that is at work has one in hand, and so has one that is paused. One that is
        # gone has left it there, where Redis keeps it for a day.
        with self._database.reading() as session:
            if paused_since(session) is None:
                at_work = sum(job.boot_id != self._boot_id and job.queue == queue for job in running_jobs(session))
                elsewhere = min(elsewhere, at_work)
        return waiting + here + elsewhere

    def _rescue(self, stalled: Sequence[RunningJob]) -> None:
        """Put back jobs of which no worker gave a sign of life for as long as the settings allow."""
        if not stalled:
            return
        with self._database.writing() as session:
            rescued = rescue_stalled(session, self._boot_id, stalled, self._settings.tries)
        for job_id in rescued.queued:
            log.warning(
                "job %d: its worker gave no sign of life for %g s; put back",
                job_id,
                self._settings.stall_s,
                extra=event(Event.JOB_RESCUED, job=job_id),
            )
        for job_id in rescued.quarantined:
            log.error(
                "job %d is set aside: its worker went away too often while it ran",
                job_id,
                extra=event(Event.JOB_QUARANTINED, job=job_id),
            )

    def _publish(self, jobs: Collection[int] | None = None, batch_id: int | None = None) -> None:
        if jobs is not None and not jobs:
            return
        count = publish(self._app, self._database, batch_id, jobs=jobs)
        if count:
            log.warning("published %d jobs that were not on the queue", count, extra=event(Event.JOBS_PUBLISHED))
