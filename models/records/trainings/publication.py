"""Which trainings' next segments are on the queue."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from models.records.tables import Training
from models.records.trainings.spoilt import spoilt_trainings
from models.types.clock import now
from models.types.message import SegmentMessage
from models.types.states import JobState


@dataclass(frozen=True)
class WaitingSegment:
    """The next segment of a queued training."""

    message: SegmentMessage
    queue: str
    priority: int


def unpublished_segments(session: Session, uid: str | None = None) -> list[WaitingSegment]:
    """Return those that are not on the queue and could be; of one training, where `uid` names it."""
    waited = or_(Training.not_before.is_(None), Training.not_before <= now())
    return _waiting(session, Training.published_at.is_(None), waited, *([] if uid is None else [Training.uid == uid]))


def published_segments(session: Session) -> list[WaitingSegment]:
    """Return those that a message should be there for."""
    return _waiting(session, Training.published_at.is_not(None))


def mark_segments_published(session: Session, training_ids: Collection[int], moment: datetime | None) -> None:
    """Note that messages for these are on the queue, or, without a moment, that they are not."""
    session.execute(
        update(Training)
        .where(Training.id.in_(training_ids), Training.state == JobState.QUEUED)
        .values(published_at=moment)
        .execution_options(synchronize_session=False)
    )


def _waiting(session: Session, *which: ColumnElement[bool]) -> list[WaitingSegment]:
    query = (
        select(Training.id, Training.uid, Training.queue, Training.priority)
        .where(Training.state == JobState.QUEUED, *which)
        .order_by(Training.id)
    )
    spoilt = set(spoilt_trainings(session))
    return [
        WaitingSegment(SegmentMessage(training=number, uid=uid), queue, priority)
        for number, uid, queue, priority in session.execute(query)
        if number not in spoilt
    ]
