"""Reading the pictures of a batch with all that a data set or a gallery says of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.records.batches import CHUNK, spec_of
from models.records.database import Database
from models.records.tables import Attempt, Batch, Job, Load, Verdict
from models.types.finding import Finding
from models.types.job import JobSpec
from models.types.states import JobState, Outcome


@dataclass(frozen=True)
class MadePicture:
    """A picture that is there, and how it was made."""

    job_id: int
    batch_id: int
    #: The batch's name.
    batch: str
    #: Its name in the store.
    picture: str
    spec: JobSpec
    attributes: Mapping[str, str]
    is_accepted: bool
    #: Of the checkpoint; None in rows of an attempt that names no load.
    revision: str | None
    #: LoRAs that were in use: name, scale and sha256 of each.
    loras: Sequence[Mapping[str, Any]]
    #: Seconds that the device was busy with it.
    total_s: float | None
    finished_at: datetime | None
    #: None where no person decided.
    accepted_by_person: bool | None
    findings: Sequence[Finding]


def newest_from(session: Session, batch_id: int | None, states: Collection[JobState], most: int) -> int:
    """Return the job behind which so many pictures come in these states, 0 where there are no more than that."""
    jobs = select(Job.id).where(Job.state.in_(states)).order_by(Job.id.desc()).offset(most).limit(1)
    return session.scalar(jobs if batch_id is None else jobs.where(Job.batch_id == batch_id)) or 0


def made_pictures(
    session: Session, batch_id: int | None, states: Collection[JobState], after: int, limit: int = CHUNK
) -> list[MadePicture]:
    """Return the next pictures of a batch, or of all, in these states: those behind job `after`, in the jobs' order."""
    of_batch = [] if batch_id is None else [Job.batch_id == batch_id]
    rows = session.execute(
        select(Job, Batch.name, Load.revision, Attempt.loras, Attempt.total_s)
        .join(Batch, Batch.id == Job.batch_id)
        .join(Attempt, Attempt.job_id == Job.id)
        .outerjoin(Load, Load.id == Attempt.load_id)
        .where(*of_batch, Job.state.in_(states), Job.id > after)
        .where(Attempt.outcome == Outcome.SUCCEEDED, Job.picture.is_not(None))
        .order_by(Job.id)
        .limit(limit)
    ).all()
    findings: dict[int, list[Finding]] = {row.Job.id: [] for row in rows}
    for verdict in session.scalars(select(Verdict).where(Verdict.job_id.in_(findings)).order_by(Verdict.id)):
        findings[verdict.job_id].append(Finding(verdict.check, verdict.figure, verdict.passed, verdict.sentence))
    return [
        MadePicture(
            row.Job.id,
            row.Job.batch_id,
            row.name,
            row.Job.picture,
            spec_of(row.Job),
            row.Job.attributes or {},
            row.Job.state == JobState.SUCCEEDED,
            row.revision,
            row.loras or (),
            row.total_s,
            row.Job.finished_at,
            row.Job.accepted_by_person,
            findings[row.Job.id],
        )
        for row in rows
    ]


def all_made_pictures(
    database: Database, batch_id: int | None, states: Collection[JobState], after: int = 0
) -> list[MadePicture]:
    """Return all of them, read page by page, so that no worker waits for the reader."""
    pictures: list[MadePicture] = []
    while True:
        with database.reading() as session:
            page = made_pictures(session, batch_id, states, pictures[-1].job_id if pictures else after)
        if not page:
            return pictures
        pictures += page
