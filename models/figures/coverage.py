"""How far each combination of attributes is: what was asked for, and what became of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.records.acceptance import BY_PERSON
from models.records.tables import Job, Verdict
from models.types.states import FINISHED, JobState


@dataclass
class Coverage:
    """The pictures of one combination of attributes."""

    attributes: Mapping[str, str]
    #: Pictures that were asked for; those that stand in for others are not.
    asked: int = 0
    accepted: int = 0
    #: Jobs that are queued or running.
    to_come: int = 0
    rejected: int = 0
    #: Rejected pictures by check, and jobs that ended without a picture by cause.
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def missing(self) -> int:
        """Pictures that were asked for, and are not accepted yet."""
        return max(0, self.asked - self.accepted)


def coverage(session: Session, batch_id: int) -> list[Coverage]:
    """Return the combinations of a batch's attributes, in the order in which they were asked for."""
    found: dict[tuple[tuple[str, str], ...], Coverage] = {}
    place: dict[int, Coverage] = {}
    jobs = session.execute(
        select(Job.id, Job.attributes, Job.state, Job.replacement, Job.cause)
        .where(Job.batch_id == batch_id)
        .order_by(Job.id)
    )
    for job in jobs:
        attributes = job.attributes or {}
        one = found.setdefault(tuple(attributes.items()), Coverage(attributes))
        one.asked += job.replacement == 0
        one.accepted += job.state == JobState.SUCCEEDED
        one.to_come += job.state not in FINISHED
        if job.state == JobState.REJECTED:
            one.rejected += 1
            place[job.id] = one
        elif job.state in FINISHED and job.state != JobState.SUCCEEDED:
            one.reasons[job.cause or job.state] += 1
    against = session.execute(
        select(Verdict.job_id, Verdict.check)
        .join(Job, Job.id == Verdict.job_id)
        .where(Job.batch_id == batch_id, Job.state == JobState.REJECTED, Verdict.passed.is_(False))
    ).all()
    for job_id, check in against:
        place[job_id].reasons[check] += 1
    for job_id in place.keys() - {job_id for job_id, _ in against}:
        place[job_id].reasons[BY_PERSON] += 1
    return list(found.values())
