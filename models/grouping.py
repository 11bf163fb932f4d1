"""Which job to make next, so that jobs which need the same of the device run together."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.job import NO_GUIDANCE, JobSpec
from models.message import JobMessage
from models.states import JobState
from models.tables import Batch, Job

#: How many of the jobs that wait the longest are looked at: 100,000 must not make a job wait.
_LOOKED_AT = 1_000


@dataclass(frozen=True)
class Group:
    """What a device is set up for: with another checkpoint it has to load, in another shape it compiles kernels."""

    checkpoint: str
    width: int
    height: int
    is_guided: bool

    @classmethod
    def of(cls, spec: JobSpec) -> "Group":
        """Return the group of a job."""
        return cls(spec.checkpoint, spec.width, spec.height, spec.is_guided)


def goes_before(session: Session, message: JobMessage, group: Group) -> JobMessage | None:
    """Return the message of a job of `group` to make before the one that `message` names; None if there is none.

    It is one that has waited on the queue with the same priority, and none where the message's own is of the group.
    """
    guided = Job.guidance > NO_GUIDANCE
    own = session.execute(
        select(Job.checkpoint, Job.width, Job.height, guided, Job.priority).where(
            Job.id == message.job, Job.state == JobState.QUEUED
        )
    ).one_or_none()
    if own is None or Group(*own[:4]) == group:
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
        .where(Job.checkpoint == group.checkpoint, Job.width == group.width, Job.height == group.height)
        .where(guided == group.is_guided)
        .order_by(Job.published_at, Job.id)
        .limit(1)
    ).one_or_none()
    return None if found is None else JobMessage(job=found.id, batch=found.uid)
