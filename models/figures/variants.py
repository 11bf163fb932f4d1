"""The pictures of a comparison, variant by variant."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.records.tables import Attempt, Job
from models.types.states import JobState, Outcome


@dataclass(frozen=True)
class Trial:
    """One picture of a variant."""

    attributes: Mapping[str, str]
    #: Of what it is: what is equal over the variants.
    prompt: str
    seed: int
    job_id: int
    state: JobState
    #: Seconds of the device; None where it was cold or not made.
    total_s: float | None
    #: The most memory that the process held meanwhile.
    peak_bytes: int | None


def trials(session: Session, batch_id: int) -> list[Trial]:
    """Return all pictures of a batch, in the jobs' order."""
    made = (Attempt.job_id == Job.id) & (Attempt.outcome == Outcome.SUCCEEDED)
    query = (
        select(Job, Attempt.total_s, Attempt.cold, Attempt.rss_peak_bytes, Attempt.device_driver_peak_bytes)
        .outerjoin(Attempt, made)
        .where(Job.batch_id == batch_id)
        .order_by(Job.id)
    )
    return [
        Trial(
            row.Job.attributes or {},
            row.Job.prompt,
            row.Job.seed,
            row.Job.id,
            JobState(row.Job.state),
            None if row.cold else row.total_s,
            row.rss_peak_bytes if row.device_driver_peak_bytes is None else row.device_driver_peak_bytes,
        )
        for row in session.execute(query)
    ]
