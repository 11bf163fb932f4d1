"""Queueing what a batch lacks of its combinations of attributes."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle, islice

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from models.figures.coverage import coverage
from models.records.batches import queued_now, spec_of
from models.records.replacements import given_up
from models.records.tables import Batch, Job
from models.types.seeds import derived_seeds

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


def fill(session: Session, batch: Batch, each: int) -> list[Lack]:
    """Queue what is missing, not yet published, and return it.

    A combination's own prompts are taken in turn, with seeds that the batch does not have. They stand in for pictures
    that came to nothing as long as there are such; what is more than was asked for is added to the batch's target. A
    cancelled batch is one no longer.
    """
    found = lacks(session, batch.id, each)
    wanted = {tuple(lack.attributes.items()): lack.count for lack in found}
    nothing = set(session.scalars(given_up(batch.id)))
    models: defaultdict[_Combination, list[Job]] = defaultdict(list)
    in_vain: defaultdict[_Combination, list[Job]] = defaultdict(list)
    taken: set[tuple[str, int]] = set()
    for job in session.scalars(select(Job).where(Job.batch_id == batch.id).order_by(Job.id)):
        taken.add((job.prompt, job.seed))
        combination = tuple((job.attributes or {}).items())
        if combination not in wanted:
            continue
        if job.id in nothing:
            in_vain[combination].append(job)
        if job.replacement == 0:
            models[combination].append(job)
    rows = []
    for combination, missing in wanted.items():
        replaced = in_vain[combination][:missing]
        added = islice(cycle(models[combination]), missing - len(replaced))
        rows += [_again(job, taken) | {"replaces": job.id, "replacement": job.replacement + 1} for job in replaced]
        # Every row has the same columns, since one statement inserts them.
        rows += [_again(job, taken) | {"replaces": None, "replacement": 0} for job in added]
    if rows:
        session.execute(insert(Job), rows)
    batch.cancelled_at = None
    if batch.target is not None:
        batch.target += sum(row["replaces"] is None for row in rows)
    return found


def _again(job: Job, taken: set[tuple[str, int]]) -> dict[str, object]:
    """Return the values of a job with the same prompt and a seed that is not taken yet."""
    seed = next(seed for seed in derived_seeds(job.seed, "fill") if (job.prompt, seed) not in taken)
    taken.add((job.prompt, seed))
    spec = spec_of(job).model_copy(update={"seed": seed})
    values = {
        "batch_id": job.batch_id,
        "source_line": job.source_line,
        "attributes": job.attributes,
        "priority": job.priority,
    }
    return spec.model_dump() | values | queued_now()
