"""Reading the pictures of a batch with all that a data set says of them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.batches import CHUNK, spec_of
from models.job import JobSpec
from models.states import JobState, Outcome
from models.tables import Attempt, Job, Load


@dataclass(frozen=True)
class MadePicture:
    """A picture that is there, and how it was made."""

    job_id: int
    #: Its name in the store.
    picture: str
    spec: JobSpec
    attributes: Mapping[str, str]
    is_accepted: bool
    #: Of the checkpoint; None in rows of an attempt that names no load.
    revision: str | None
    #: Seconds that the device was busy with it.
    total_s: float | None


def made_pictures(session: Session, batch_id: int, states: Collection[JobState], after: int) -> list[MadePicture]:
    """Return the next pictures of a batch in these states, in the order of its jobs, those behind job `after`."""
    rows = session.execute(
        select(Job, Load.revision, Attempt.total_s)
        .join(Attempt, Attempt.job_id == Job.id)
        .outerjoin(Load, Load.id == Attempt.load_id)
        .where(Job.batch_id == batch_id, Job.state.in_(states), Job.id > after)
        .where(Attempt.outcome == Outcome.SUCCEEDED, Job.picture.is_not(None))
        .order_by(Job.id)
        .limit(CHUNK)
    )
    return [
        MadePicture(
            row.Job.id,
            row.Job.picture,
            spec_of(row.Job),
            row.Job.attributes or {},
            row.Job.state == JobState.SUCCEEDED,
            row.revision,
            row.total_s,
        )
        for row in rows
    ]
