"""What checks found of pictures: verdicts, a row for each check of each picture, and what they are compared by."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import case, delete, func, insert, select, update
from sqlalchemy.orm import Session

from models.records.tables import Batch, Job, Likeness, Verdict, now
from models.types.finding import Finding
from models.types.states import JobState


@dataclass(frozen=True)
class CheckCount:
    """How many pictures of a batch a check was satisfied with."""

    check: str
    passed: int
    rejected: int


def record_verdicts(session: Session, found: Mapping[int, Sequence[Finding]]) -> None:
    """Keep what was found of each job's picture, in place of what was found before."""
    moment = now()
    session.execute(delete(Verdict).where(Verdict.job_id.in_(found)))
    rows = [
        asdict(finding) | {"job_id": job_id, "judged_at": moment}
        for job_id, findings in found.items()
        for finding in findings
    ]
    if rows:
        session.execute(insert(Verdict), rows)


def record_likenesses(session: Session, found: Mapping[int, bytes | None]) -> None:
    """Keep what each job's picture is compared with later ones by, in place of what was kept before."""
    session.execute(delete(Likeness).where(Likeness.job_id.in_(found)))
    rows = [{"job_id": job_id, "content": content} for job_id, content in found.items() if content is not None]
    if rows:
        session.execute(insert(Likeness), rows)


def accepted_likenesses(session: Session, batch_id: int, after: int) -> list[tuple[int, int, bytes]]:
    """Return number, job and content of a batch's likenesses behind number `after`, of pictures that are accepted."""
    rows = session.execute(
        select(Likeness.id, Likeness.job_id, Likeness.content)
        .join(Job, Job.id == Likeness.job_id)
        .where(Job.batch_id == batch_id, Job.state == JobState.SUCCEEDED, Likeness.id > after)
        .order_by(Likeness.id)
    )
    return [(row.id, row.job_id, row.content) for row in rows]


def record_limits(session: Session, batch_id: int, limits: Mapping[str, Mapping[str, Any]]) -> None:
    """Keep the limits by which a batch's pictures are judged from now on; none where they are not."""
    session.execute(update(Batch).where(Batch.id == batch_id).values(checks=limits or None))


def count_verdicts(session: Session, batch_id: int) -> list[CheckCount]:
    """Return how many pictures each check passed and rejected."""
    passed = func.sum(case((Verdict.passed, 1), else_=0))
    rows = session.execute(
        select(Verdict.check, passed, func.count())
        .join(Job, Job.id == Verdict.job_id)
        .where(Job.batch_id == batch_id)
        .group_by(Verdict.check)
    )
    return [CheckCount(check, good, count - good) for check, good, count in rows]


def rejections(session: Session, batch_id: int, limit: int) -> list[tuple[int, Finding]]:
    """Return the first findings of a batch that were against a picture, each with its job."""
    rows = session.scalars(
        select(Verdict)
        .join(Job, Job.id == Verdict.job_id)
        .where(Job.batch_id == batch_id, Verdict.passed.is_(False))
        .order_by(Verdict.job_id, Verdict.id)
        .limit(limit)
    )
    return [(row.job_id, Finding(row.check, row.figure, row.passed, row.sentence)) for row in rows]
