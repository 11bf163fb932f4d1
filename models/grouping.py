"""Which job to make next, so that jobs which need the same of the device run together."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.identity import Setup
from models.identity_columns import are_of, columns, from_row
from models.message import JobMessage
from models.states import JobState
from models.tables import Batch, Job

#: How many of the jobs that wait the longest are looked at: 100,000 must not make a job wait.
_LOOKED_AT = 1_000


def goes_before(session: Session, message: JobMessage, setup: Setup) -> JobMessage | None:
    """Return the message of a job of `setup` to make before the one that `message` names; None if there is none.

    It is one that has waited on the queue with the same priority, and none where the message's own is of that setup.
    """
    own = session.execute(
        select(*columns(Setup), Job.priority).where(Job.id == message.job, Job.state == JobState.QUEUED)
    ).one_or_none()
    if own is None or from_row(Setup, own) == setup:
        return None
    waiting = (
        select(Job.id)
        .where(Job.state == JobState.QUEUED, Job.published_at.is_not(None), Job.priority == own.priority)
        .order_by(Job.published_at, Job.id)
        .limit(_LOOKED_AT)
        .subquery()
    )
    found = session.execute(
        select(Job.id, Batch.uid)
        .join(waiting, waiting.c.id == Job.id)
        .join(Batch, Batch.id == Job.batch_id)
        .where(*are_of(setup))
        .order_by(Job.published_at, Job.id)
        .limit(1)
    ).one_or_none()
    return None if found is None else JobMessage(job=found.id, batch=found.uid)
