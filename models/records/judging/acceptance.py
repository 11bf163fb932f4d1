"""What checks found of pictures, what a person decided of them, and which are accepted."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import case, delete, exists, func, insert, select, update
from sqlalchemy.orm import Session

from models.pictures.names import standing_name
from models.pictures.store import PictureStore
from models.records.judging.replacements import replace, take_back, unreached_jobs
from models.records.tables import Batch, Job, Likeness, Verdict
from models.types.clock import now
from models.types.errors import BadInputError
from models.types.finding import Finding
from models.types.states import MADE, JobState

#: Stands for a check where a person rejected what all checks passed.
BY_PERSON = "person"


@dataclass(frozen=True)
class Standing:
    """How the pictures of a batch stand that were made."""

    accepted: int
    rejected: int
    #: Rejected pictures by the check that is against them; one that several are against counts for each.
    rejected_by: dict[str, int]
    #: How many of all a person decided over.
    decided_by_person: int
    #: Jobs that stand in for others, whatever has become of them.
    replaced: int


@dataclass(frozen=True)
class Unreached:
    """A picture that is asked for and will not come, unless something else is done."""

    #: Of the last try.
    job_id: int
    source_line: int | None
    tries: int
    reason: str


def decide(session: Session, store: PictureStore, job_ids: Collection[int], *, accepted: bool) -> list[int]:
    """Have a person's word for these pictures, whatever the checks say; return the jobs that were queued for it.

    The pictures are moved within the transaction, and where that was cut short the same call puts it right.

    Raises:
        BadInputError: naming every job that is not there, or has no picture.
        StorageError: if a picture cannot be moved.
    """
    jobs = {job.id: job for job in session.scalars(select(Job).where(Job.id.in_(job_ids)))}
    problems = [f"there is no job {number}" for number in job_ids if number not in jobs]
    problems += [f"job {job.id} has no picture: it is {job.state}" for job in jobs.values() if job.state not in MADE]
    gone = [job.id for job in jobs.values() if job.state in MADE and job.picture is None]
    problems += [f"job {job_id}: its picture has been removed" for job_id in gone]
    if problems:
        raise BadInputError(problems)
    session.execute(update(Job).where(Job.id.in_(jobs)).values(accepted_by_person=accepted))
    state = JobState.SUCCEEDED if accepted else JobState.REJECTED
    return _put(session, store, [job.id for job in jobs.values() if job.state != state], state)


def follow_verdicts(session: Session, store: PictureStore, job_ids: Collection[int]) -> None:
    """Have the verdicts decide over these pictures, but for those that a person decided over.

    What is rejected now is not replaced: `replace` does that when it is asked for.

    Raises:
        StorageError: if a picture cannot be moved.
    """
    against = exists().where(Verdict.job_id == Job.id, Verdict.passed.is_(False))
    undecided = select(Job.id).where(Job.id.in_(job_ids), Job.state.in_(MADE), Job.accepted_by_person.is_(None))
    accepted = session.scalars(undecided.where(Job.state == JobState.REJECTED, ~against)).all()
    rejected = session.scalars(undecided.where(Job.state == JobState.SUCCEEDED, against)).all()
    _put(session, store, accepted, JobState.SUCCEEDED)
    _move(session, store, rejected, JobState.REJECTED)


def _put(session: Session, store: PictureStore, job_ids: Collection[int], state: JobState) -> list[int]:
    _move(session, store, job_ids, state)
    if state is JobState.REJECTED:
        return replace(session, job_ids)
    for job_id in job_ids:
        take_back(session, job_id)
    return []


def _move(session: Session, store: PictureStore, job_ids: Collection[int], state: JobState) -> None:
    for job in session.scalars(select(Job).where(Job.id.in_(job_ids)).order_by(Job.id)):
        job.state = state
        # One that has been removed has no place.
        if job.picture is not None:
            name = standing_name(job.picture, rejected=state is JobState.REJECTED)
            store.move(job.picture, name)
            job.picture = name
    session.flush()


def standing(session: Session, batch_id: int) -> Standing:
    """Return how the pictures of a batch stand."""
    of_batch = Job.batch_id == batch_id
    rejected = Job.state == JobState.REJECTED
    counts = session.execute(
        select(
            func.count(case((Job.state == JobState.SUCCEEDED, 1))),
            func.count(case((rejected, 1))),
            func.count(Job.accepted_by_person),
            func.count(case((Job.replaces.is_not(None) & (Job.state != JobState.CANCELLED), 1))),
        ).where(of_batch)
    ).one()
    against = Verdict.passed.is_(False)
    checks = session.execute(
        select(Verdict.check, func.count())
        .join(Job, Job.id == Verdict.job_id)
        .where(of_batch, rejected, against)
        .group_by(Verdict.check)
        .order_by(func.count().desc(), Verdict.check)
    )
    by: dict[str, int] = dict(checks.all())
    alone = select(func.count()).where(
        of_batch, rejected, ~exists().where(Verdict.job_id == Job.id, Verdict.passed.is_(False))
    )
    if count := session.scalar(alone):
        by[BY_PERSON] = count
    return Standing(counts[0], counts[1], by, counts[2], counts[3])


def unreached(session: Session, batch_id: int, limit: int) -> list[Unreached]:
    """Return the first pictures of a batch with a target whose last try came to nothing."""
    jobs = session.scalars(select(Job).where(Job.id.in_(unreached_jobs(batch_id).limit(limit))).order_by(Job.id)).all()
    sentences: dict[int, list[str]] = {}
    for verdict in session.scalars(
        select(Verdict)
        .where(Verdict.job_id.in_([job.id for job in jobs]), Verdict.passed.is_(False))
        .order_by(Verdict.id)
    ):
        sentences.setdefault(verdict.job_id, []).append(f"{verdict.check}: {verdict.sentence}")
    return [
        Unreached(job.id, job.source_line, job.replacement + 1, _reason(job, sentences.get(job.id, []))) for job in jobs
    ]


def _reason(job: Job, sentences: list[str]) -> str:
    if job.state == JobState.REJECTED:
        return "; ".join(sentences) or "a person rejected it"
    return job.error or job.state


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
