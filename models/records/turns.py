"""Turns: which of the jobs of one queue and priority that wait comes first.

Batches take turns. Each job has a number, and the lowest goes first: those of a batch follow each other, and the first
of a new batch has the number that it is the turn of at that moment. So a batch of 20 does not wait behind one of
100,000, and three that wait at once are made at the same pace. This is start-time fair queueing with a weight of 1 for
each batch: Goyal, Vin and Cheng, SIGCOMM 1996.
"""

from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, case, func, select
from sqlalchemy.orm import aliased

from models.records.tables import Job
from models.types.states import JobState

#: How many turns of others a job lets pass that failed or lost its worker: one that takes its worker down would
#: otherwise be the first of each start.
_LET_PASS = 10


def is_published(job: Any = Job) -> ColumnElement[bool]:
    """Return what holds for a queued job that a message is on the queue for."""
    # Not as a plain comparison: SQLite would take the index of states and sort all that wait, where the index of
    # published jobs has them in order.
    is_queued = case((job.state == JobState.QUEUED, 1), else_=0) == 1
    return and_(job.published_at.is_not(None), job.finished_at.is_(None), is_queued)


def in_turn(job: Any = Job) -> tuple[SQLColumnExpression[Any], ...]:
    """Return by what jobs of one queue and priority are ordered."""
    return job.turn, job.published_at, job.id


def present_turn(queue: str | SQLColumnExpression[str], priority: int | SQLColumnExpression[int]) -> ColumnElement[int]:
    """Return the turn that it is among the jobs of a queue and priority; 0 where none of them waits."""
    waiting = aliased(Job)
    first = select(waiting.turn).where(is_published(waiting), waiting.queue == queue, waiting.priority == priority)
    return func.coalesce(first.order_by(*in_turn(waiting)).limit(1).scalar_subquery(), 0)


def later_turn() -> ColumnElement[int]:
    """Return the turn of a job that is put back, and lets some others go before it."""
    return present_turn(Job.queue, Job.priority) + _LET_PASS
