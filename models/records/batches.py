"""Writing and finding batches.

Rows come first: a batch and its jobs are committed before the first message leaves, so a crash or a
dead Redis in between leaves jobs that say "not published" and can be published later.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.records.tables import Batch, Job
from models.records.turns import present_turn
from models.types.clock import instant, now
from models.types.errors import BadInputError, NotFoundError
from models.types.job import JobSpec
from models.types.message import DEFAULT_QUEUE
from models.types.presets import EXACT
from models.types.printable import is_printable
from models.types.states import FINISHED

#: Rows a statement: bounds the memory of a large batch.
CHUNK = 1_000


@dataclass(frozen=True)
class PlannedJob:
    """A job before it has a row."""

    spec: JobSpec
    source_line: int | None = None
    #: What a template chose for it, by the choices' names.
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Acceptance:
    """Which pictures of a batch are accepted, and how many are to be."""

    #: The limits of each check; None where pictures are not judged.
    checks: Mapping[str, Mapping[str, Any]] | None = None
    #: None where each job is made once, whatever becomes of it.
    target: int | None = None
    #: How often one picture that is asked for is made again with another seed, at most.
    replacements: int = 0


class Fingerprint:
    """A digest of what is asked for, job by job; what was drawn rather than asked for does not count."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, spec: JobSpec, *, seed_asked: bool, drawn_from: str | None = None) -> None:
        """Add the next job; `drawn_from` is what its prompts were drawn from, where no seed decided it."""
        asked = spec if seed_asked else spec.model_copy(update={"seed": -1})
        if drawn_from is not None:
            asked = asked.model_copy(update={"prompt": drawn_from, "negative_prompt": ""})
        # What is settled by default now was no field when earlier batches were recorded.
        unsaid = {"preset"} if spec.preset == EXACT else set()
        unsaid |= set() if spec.lora else {"lora"}
        self._digest.update(asked.model_dump_json(exclude=unsaid).encode())

    def add_acceptance(self, acceptance: Acceptance) -> None:
        """Add which pictures are accepted, where that is asked for."""
        if acceptance != Acceptance():
            self._digest.update(json.dumps(asdict(acceptance), sort_keys=True).encode())

    def hex(self) -> str:
        """Return the digest of the jobs so far."""
        return self._digest.hexdigest()


@dataclass(frozen=True)
class KnownBatch:
    """A batch as its row has it."""

    id: int
    uid: str
    name: str
    fingerprint: str
    source: str
    checks: Mapping[str, Mapping[str, Any]] | None
    target: int | None
    replacements: int
    created_at: datetime
    cancelled_at: datetime | None

    @classmethod
    def of(cls, row: Batch) -> "KnownBatch":
        """Return what the row says at this moment."""
        return cls(**{field.name: getattr(row, field.name) for field in fields(cls)})


def create_batch(
    session: Session,
    name: str,
    source: str,
    jobs: Iterable[PlannedJob],
    *,
    queue: str = DEFAULT_QUEUE,
    priority: int,
    digest: str,
    acceptance: Acceptance | None = None,
) -> KnownBatch:
    """Insert a batch and its jobs, all queued and not yet published, the first for the turn that it is now.

    Raises:
        BadInputError: if a batch of that name is there already.
    """
    queued = queued_now()
    asked = asdict(acceptance or Acceptance())
    batch = Batch(uid=uuid4().hex, name=name, source=source, fingerprint=digest, **asked)
    batch.created_at = queued["queued_at"]
    session.add(batch)
    try:
        session.flush()
    except IntegrityError:
        raise BadInputError([f"--batch {name}: a batch of that name is there already; choose another name"]) from None
    add_jobs(session, batch.id, jobs, queue=queue, priority=priority, queued=queued)
    return KnownBatch.of(batch)


def add_jobs(
    session: Session,
    batch_id: int,
    jobs: Iterable[PlannedJob],
    *,
    queue: str,
    priority: int,
    queued: Mapping[str, Any] | None = None,
) -> None:
    """Insert jobs of a batch, all queued, now or as `queued_now` said, and not yet published."""
    queued = queued or queued_now()
    first = session.scalar(select(present_turn(queue, priority))) or 0
    numbered = enumerate(jobs, start=first)
    while chunk := list(islice(numbered, CHUNK)):
        session.execute(
            insert(Job),
            [
                job.spec.model_dump()
                | {
                    "batch_id": batch_id,
                    "source_line": job.source_line,
                    "attributes": dict(job.attributes) or None,
                    "queue": queue,
                    "priority": priority,
                    "turn": turn,
                }
                | dict(queued)
                for turn, job in chunk
            ],
        )


def queued_now() -> dict[str, Any]:
    """Return the values of a row that is queued at this moment, and not yet published."""
    queued = instant()
    return {"queued_at": now(), "queued_s": queued.s, "queued_clock": queued.clock}


def queued_again() -> dict[str, Any]:
    """Return the values of a row that a worker queues: the sweep publishes it where nobody else does."""
    queued = queued_now()
    return queued | {"not_before": queued["queued_at"], "published_at": None}


def free_name(session: Session, stem: str) -> str:
    """Return the first of `stem-1`, `stem-2`, … that no batch has."""
    taken = set(session.scalars(select(Batch.name).where(Batch.name.startswith(f"{stem}-", autoescape=True))))
    number = 1
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"


def find_batch(session: Session, name: str | None) -> KnownBatch:
    """Return the batch called `name`, or the newest one.

    Raises:
        NotFoundError: naming the newest batches there are.
    """
    query = select(Batch).order_by(Batch.id.desc()).limit(1)
    # What no name of a batch may hold, no database need be asked for: a byte that is no text would end in an error.
    if name is None or is_printable(name):
        batch = session.scalar(query if name is None else query.where(Batch.name == name))
        if batch is not None:
            return KnownBatch.of(batch)
    names = list(session.scalars(select(Batch.name).order_by(Batch.id.desc()).limit(5)))
    if not names:
        raise NotFoundError("there is no batch yet: `producer enqueue --prompts FILE` makes one")
    raise NotFoundError(f"there is no batch {name!r}; the newest are {', '.join(names)}")


def find_job(session: Session, job_id: int) -> Job:
    """Return the job of that number.

    Raises:
        NotFoundError: if there is none.
    """
    job = session.get(Job, job_id)
    if job is None:
        raise NotFoundError(f"there is no job {job_id}; `producer status BATCH` and the log name jobs")
    return job


def find_same(session: Session, digest: str, *, alone: bool = False) -> KnownBatch | None:
    """Return the newest batch with this fingerprint, one that still has jobs to do before any other.

    With `alone` nobody else looks for it until the transaction is over, and the caller may add it where there is none.
    """
    if alone and session.get_bind().dialect.name == "postgresql":
        # SQLite has one writer at a time in any case.
        session.execute(select(func.pg_advisory_xact_lock(int(digest[:15], 16))))
    unfinished = find_unfinished(session, digest)
    if unfinished is not None:
        return unfinished
    newest = session.scalar(select(Batch).where(Batch.fingerprint == digest).order_by(Batch.id.desc()).limit(1))
    return None if newest is None else KnownBatch.of(newest)


def find_unfinished(session: Session, digest: str) -> KnownBatch | None:
    """Return the newest batch with this fingerprint that still has jobs to do."""
    found = session.scalar(
        select(Batch)
        .where(Batch.fingerprint == digest)
        .where(select(Job.id).where(Job.batch_id == Batch.id, Job.state.not_in(FINISHED)).exists())
        .order_by(Batch.id.desc())
        .limit(1)
    )
    return None if found is None else KnownBatch.of(found)


def spec_of(job: Job) -> JobSpec:
    """Return what the row asks for."""
    return JobSpec.model_validate({name: getattr(job, name) for name in JobSpec.model_fields})


def change_jobs(session: Session, *where: ColumnElement[bool], values: dict[str, object]) -> int:
    """Give every job that `where` holds for the values, and return how many those are."""
    result = session.execute(update(Job).where(*where).values(values).execution_options(synchronize_session=False))
    return TypeAdapter(int).validate_python(getattr(result, "rowcount", 0))
