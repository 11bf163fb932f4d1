"""Kinds of jobs in the record: which there are, how many are left of each, and how fast each was made."""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import and_, func, not_, select
from sqlalchemy.orm import Session

from models.records.tables import Attempt, Job
from models.records.tables.identity_columns import are_of, columns, from_row
from models.types.identity import Kind
from models.types.presets import EXACT
from models.types.states import JobState, Outcome

#: Newest successes that tell what is made in general.
_NEWEST = 10_000
#: Newest attempts that are told apart by kind: each takes a look at its job.
_TOLD_APART = 100_000
_COLUMNS = columns(Kind)


def only_kind(session: Session, batch_id: int | None) -> Kind | None:
    """Return the kind of all jobs of the batch, or of all there are; None where there are several, or no job."""
    of_batch = [] if batch_id is None else [Job.batch_id == batch_id]
    row = session.execute(select(*_COLUMNS).where(*of_batch).order_by(Job.id.desc()).limit(1)).first()
    if row is None:
        return None
    kind = from_row(Kind, row)
    other = select(Job.id).where(*of_batch, not_(and_(*are_of(kind)))).limit(1)
    return kind if session.scalar(other) is None else None


def remaining_kinds(session: Session, batch_id: int) -> Counter[Kind]:
    """Return how many jobs of each kind are queued or running in the batch."""
    left = Job.state.in_((JobState.QUEUED, JobState.RUNNING))
    rows = session.execute(select(*_COLUMNS, func.count()).where(Job.batch_id == batch_id, left).group_by(*_COLUMNS))
    return Counter({from_row(Kind, row): row[-1] for row in rows})


def mix_of_kinds(session: Session, batch_id: int | None) -> Counter[Kind]:
    """Return how many jobs of each kind the batch has, or there are among the newest pictures of all."""
    query = select(*_COLUMNS, func.count()).group_by(*_COLUMNS)
    if batch_id is not None:
        query = query.where(Job.batch_id == batch_id)
    else:
        made = select(Attempt.job_id).where(Attempt.outcome == Outcome.SUCCEEDED)
        query = query.where(Job.id.in_(made.order_by(Attempt.id.desc()).limit(_NEWEST)))
    return Counter({from_row(Kind, row): row[-1] for row in session.execute(query)})


def presets(session: Session, batch_id: int | None) -> dict[str, int]:
    """Return how many jobs were asked for by each preset; nothing where all are as they were asked for."""
    query = select(Job.preset, func.count()).group_by(Job.preset).order_by(Job.preset)
    rows = session.execute(query if batch_id is None else query.where(Job.batch_id == batch_id))
    found = {row[0]: row[1] for row in rows}
    return {} if found.keys() <= {EXACT} else found


@dataclass(frozen=True)
class KindSums:
    """What was made of one kind with one load, in steady state."""

    load_id: int
    kind: Kind
    pictures: int
    total_s: float
    min_s: float
    max_s: float
    #: Steps, and the seconds of denoising them, where both are measured.
    steps: float
    denoise_s: float


def sums_by_kind(session: Session, batch_id: int | None) -> list[KindSums]:
    """Return the sums over the newest pictures in steady state of each load and kind, in the order of the loads."""
    of_batch = [] if batch_id is None else [Attempt.batch_id == batch_id]
    last = session.scalar(select(func.max(Attempt.id)).where(*of_batch)) or 0
    query = (
        select(
            *_COLUMNS,
            Attempt.load_id,
            func.count(),
            func.sum(Attempt.total_s),
            func.min(Attempt.total_s),
            func.max(Attempt.total_s),
            func.coalesce(func.sum(Attempt.steps_per_s * Attempt.denoise_s), 0.0),
            func.coalesce(func.sum(Attempt.denoise_s), 0.0),
        )
        .join(Job, Job.id == Attempt.job_id)
        # Only successes have a total; asked for by outcome, an index of all of them would be walked instead.
        .where(*of_batch, Attempt.id > last - _TOLD_APART, Attempt.total_s.is_not(None), Attempt.load_id.is_not(None))
        .group_by(*_COLUMNS, Attempt.load_id, Attempt.cold)
        .having(Attempt.cold.is_(False))
        .order_by(Attempt.load_id)
    )
    return [KindSums(row.load_id, from_row(Kind, row), *row[len(_COLUMNS) + 1 :]) for row in session.execute(query)]
