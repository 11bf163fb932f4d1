"""Writing, finding and ending trainings."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import case, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.records.tables import Batch, Training
from models.types.causes import Cause
from models.types.clock import now
from models.types.errors import BadInputError, NotFoundError
from models.types.message import DEFAULT_QUEUE
from models.types.printable import is_printable
from models.types.states import FAULTY, JobState


@dataclass(frozen=True)
class KnownTraining:
    """A training as its row has it."""

    id: int
    uid: str
    name: str
    config: Mapping[str, Any]
    data: str
    revision: str | None
    pictures: int
    held_out: int
    validation_batch_id: int | None
    queue: str
    priority: int
    state: JobState
    step: int
    steps: int
    state_file: str | None
    rate_share: float
    saves_memory: bool
    segments: int
    created_at: datetime
    published_at: datetime | None
    finished_at: datetime | None
    cause: str | None
    error: str | None

    @classmethod
    def of(cls, row: Training) -> "KnownTraining":
        """Return what the row says at this moment."""
        values = {field.name: getattr(row, field.name) for field in fields(cls)}
        return cls(**values | {"state": JobState(row.state)})


def create_training(
    session: Session,
    name: str,
    config: Mapping[str, Any],
    *,
    data: str,
    place: str,
    pictures: int,
    held_out: int,
    steps: int,
    priority: int,
    queue: str = DEFAULT_QUEUE,
) -> KnownTraining:
    """Insert a training, queued and not yet published.

    Raises:
        BadInputError: if a training or a batch has the name: commands could not tell them apart.
    """
    require_free_name(session, name)
    training = Training(
        uid=uuid4().hex,
        name=name,
        config=dict(config),
        data=data,
        place=place,
        pictures=pictures,
        held_out=held_out,
        steps=steps,
        queue=queue,
        priority=priority,
        created_at=now(),
    )
    session.add(training)
    try:
        session.flush()
    except IntegrityError:
        # Another process was faster.
        raise _taken(name) from None
    return KnownTraining.of(training)


def require_free_name(session: Session, name: str) -> None:
    """Refuse a name that a training or a batch has.

    Raises:
        BadInputError: saying so.
    """
    of_batch = session.scalar(select(Batch.id).where(Batch.name == name))
    if of_batch is not None or find_training(session, name) is not None:
        raise _taken(name)


def _taken(name: str) -> BadInputError:
    return BadInputError([f"{name}: there is a training or a batch of that name already; choose another name"])


def find_training(session: Session, name: str) -> KnownTraining | None:
    """Return the training called `name`; None where there is none."""
    # What no name may hold, no database need be asked for: a byte that is no text would end in an error.
    if not is_printable(name):
        return None
    row = session.scalar(select(Training).where(Training.name == name))
    return None if row is None else KnownTraining.of(row)


def require_training(session: Session, name: str) -> KnownTraining:
    """Return the training called `name`.

    Raises:
        NotFoundError: naming the newest there are.
    """
    found = find_training(session, name)
    if found is None:
        names = ", ".join(one.name for one in newest_trainings(session, 5))
        raise NotFoundError(f"there is no training {name!r}" + (f"; the newest are {names}" if names else ""))
    return found


def validation_batch(session: Session, training_id: int) -> int | None:
    """Return the number of the batch by whose pictures a training's checkpoints are compared; None where none is."""
    return session.scalar(select(Training.validation_batch_id).where(Training.id == training_id))


def newest_trainings(session: Session, most: int) -> list[KnownTraining]:
    """Return the newest, the newest first."""
    rows = session.scalars(select(Training).order_by(Training.id.desc()).limit(most))
    return [KnownTraining.of(row) for row in rows]


def cancel_training(session: Session, training_id: int) -> JobState:
    """Cancel a queued training at once, ask for a running one, and return the state it is in then."""
    is_queued = Training.state == JobState.QUEUED
    session.execute(
        update(Training)
        .where(Training.id == training_id, Training.state.in_((JobState.QUEUED, JobState.RUNNING)))
        .values(
            state=case((is_queued, JobState.CANCELLED), else_=Training.state),
            finished_at=case((is_queued, now()), else_=Training.finished_at),
            cause=case((is_queued, Cause.CANCELLED), else_=Training.cause),
            published_at=None,
            cancel_requested=~is_queued,
        )
        .execution_options(synchronize_session=False)
    )
    return JobState(session.scalars(select(Training.state).where(Training.id == training_id)).one())


def retry_training(session: Session, training_id: int, *, cancelled: bool = False) -> bool:
    """Queue a training that failed, or was cancelled, from its last state on; False where it did neither."""
    states = (*FAULTY, JobState.CANCELLED) if cancelled else FAULTY
    found = session.scalar(
        update(Training)
        .where(Training.id == training_id, Training.state.in_(states))
        .values(
            state=JobState.QUEUED,
            published_at=None,
            not_before=None,
            cancel_requested=False,
            finished_at=None,
            cause=None,
            error=None,
            losses=0,
            failures=0,
        )
        .returning(Training.id)
        .execution_options(synchronize_session=False)
    )
    return found is not None
