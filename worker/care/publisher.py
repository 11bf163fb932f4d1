"""Putting on the queue what a worker itself leaves to be done; where Redis is away, the sweep does it later."""

from collections.abc import Sequence

from celery import Celery

from models.records.database import Database
from models.records.trainings.trainings import validation_batch
from models.types.errors import BrokerError, DatabaseError
from worker.events import Event
from worker.log import event, log
from worker.queue.publishing import publish, publish_segments


class Publisher:
    """Publishes on behalf of one boot."""

    def __init__(self, app: Celery, database: Database) -> None:
        self._app = app
        self._database = database

    def publish_all(self) -> int:
        """Publish all that is not there, put back just now or enqueued while Redis was away, and return how many."""
        return self._publish() + self._segments()

    def publish_replacement(self, job_id: int | None) -> None:
        """Publish the job that stands in for another, if there is one."""
        if job_id is not None:
            self._publish([job_id])

    def publish_next_segment(self, training_id: int, uid: str) -> None:
        """Publish a training's next segment, if there is one, and the pictures that are made with what it learnt."""
        try:
            with self._database.reading() as session:
                batch_id = validation_batch(session, training_id)
        except DatabaseError as error:
            log.warning("%s; the next segment stays there", error, extra=event(Event.PUBLISH_FAILED))
            return
        if batch_id is not None:
            self._publish(batch_id=batch_id)
        self._segments(uid)

    def _publish(self, jobs: Sequence[int] | None = None, batch_id: int | None = None) -> int:
        try:
            return publish(self._app, self._database, batch_id, jobs=jobs)
        except BrokerError as error:
            log.warning(
                "%s; jobs that wait to be published stay in the database", error, extra=event(Event.PUBLISH_FAILED)
            )
            return 0

    def _segments(self, uid: str | None = None) -> int:
        try:
            return publish_segments(self._app, self._database, uid)
        except BrokerError as error:
            log.warning(
                "%s; trainings that wait to be published stay in the database", error, extra=event(Event.PUBLISH_FAILED)
            )
            return 0
