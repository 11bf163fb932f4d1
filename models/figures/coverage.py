"""How far each combination of attributes is, and queueing what is missing."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from models.records.batches import queued_now, spec_of
from models.records.judging.acceptance import BY_PERSON
from models.records.judging.replacements import unreached_jobs
from models.records.tables import Batch, Job, Verdict
from models.records.turns import present_turn
from models.types.job import derived_seeds
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


_Combination = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Lack:
    """How many pictures a combination of attributes lacks."""

    attributes: Mapping[str, str]
    count: int


def lacks(session: Session, batch_id: int, each: int) -> list[Lack]:
    """Return what is missing until `each` pictures of every combination are accepted, of those to come all counted."""
    found = [Lack(one.attributes, each - one.accepted - one.to_come) for one in coverage(session, batch_id)]
    return [lack for lack in found if lack.count > 0]


def fill(session: Session, batch_id: int, each: int) -> list[Lack]:
    """Queue what is missing, not yet published, and return it.

    A combination's own prompts are taken in turn, with seeds that the batch does not have. They stand in for pictures
    that came to nothing as long as there are such; what is more than was asked for is added to the batch's target. A
    cancelled batch is one no longer.
    """
    batch = session.get_one(Batch, batch_id)
    found = lacks(session, batch_id, each)
    wanted = {tuple(lack.attributes.items()): lack.count for lack in found}
    unreached = set(session.scalars(unreached_jobs(batch.id)))
    models: defaultdict[_Combination, list[Job]] = defaultdict(list)
    to_replace: defaultdict[_Combination, list[Job]] = defaultdict(list)
    taken: set[tuple[str, int]] = set()
    for job in session.scalars(select(Job).where(Job.batch_id == batch.id).order_by(Job.id)):
        taken.add((job.prompt, job.seed))
        combination = tuple((job.attributes or {}).items())
        if combination not in wanted:
            continue
        if job.id in unreached:
            to_replace[combination].append(job)
        if job.replacement == 0:
            models[combination].append(job)
    rows = []
    for combination, missing in wanted.items():
        replaced = to_replace[combination][:missing]
        added = islice(cycle(models[combination]), missing - len(replaced))
        rows += [_again(job, taken) | {"replaces": job.id, "replacement": job.replacement + 1} for job in replaced]
        # Every row has the same columns, since one statement inserts them.
        rows += [_again(job, taken) | {"replaces": None, "replacement": 0} for job in added]
    _give_turns(session, rows)
    if rows:
        session.execute(insert(Job), rows)
    batch.cancelled_at = None
    if batch.target is not None:
        batch.target += sum(row["replaces"] is None for row in rows)
    return found


def _give_turns(session: Session, rows: list[dict[str, Any]]) -> None:
    """Have rows of one queue and priority follow each other, from the turn that it is now."""
    next_turn: dict[tuple[str, int], int] = {}
    for row in rows:
        place = row["queue"], row["priority"]
        if place not in next_turn:
            next_turn[place] = session.scalar(select(present_turn(*place))) or 0
        row["turn"] = next_turn[place]
        next_turn[place] += 1


def _again(job: Job, taken: set[tuple[str, int]]) -> dict[str, Any]:
    """Return the values of a job with the same prompt and a seed that is not taken yet."""
    seed = next(seed for seed in derived_seeds(job.seed, "fill") if (job.prompt, seed) not in taken)
    taken.add((job.prompt, seed))
    spec = spec_of(job).model_copy(update={"seed": seed})
    values = {
        "batch_id": job.batch_id,
        "source_line": job.source_line,
        "attributes": job.attributes,
        "queue": job.queue,
        "priority": job.priority,
    }
    return spec.model_dump() | values | queued_now()
