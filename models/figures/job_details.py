"""Everything that is known of one job."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.records.batches import find_job
from models.records.judging.replacements import replacement_of
from models.records.tables import Attempt, Batch, Boot, Load, Verdict
from models.records.tables.columns import Base
from models.types.finding import Finding


@dataclass(frozen=True)
class AttemptDetails:
    """An attempt, with what it was made on and with."""

    #: Every column of its row.
    values: dict[str, Any]
    host: str
    device_name: str
    #: The checkpoint's revision; None where the attempt ended before one was in memory.
    revision: str | None


@dataclass(frozen=True)
class JobDetails:
    """A job, and what belongs to it."""

    #: Every column of its row.
    values: dict[str, Any]
    batch: str
    attempts: list[AttemptDetails]
    findings: list[Finding]
    #: The job that stands in for it.
    replaced_by: int | None


def job_details(session: Session, job_id: int) -> JobDetails:
    """Return what is known of a job.

    Raises:
        NotFoundError: if there is none of that number.
    """
    job = find_job(session, job_id)
    attempts = session.execute(
        select(Attempt, Boot, Load.revision)
        .join(Boot, Boot.id == Attempt.boot_id)
        .outerjoin(Load, Load.id == Attempt.load_id)
        .where(Attempt.job_id == job_id)
        .order_by(Attempt.number)
    )
    verdicts = session.scalars(select(Verdict).where(Verdict.job_id == job_id).order_by(Verdict.id))
    return JobDetails(
        _values(job),
        session.get_one(Batch, job.batch_id).name,
        [AttemptDetails(_values(row.Attempt), row.Boot.host, row.Boot.device_name, row.revision) for row in attempts],
        [Finding(row.check, row.figure, row.passed, row.sentence) for row in verdicts],
        replacement_of(session, job_id),
    )


def _values(row: Base) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}
