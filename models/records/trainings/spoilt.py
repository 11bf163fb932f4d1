"""Queued trainings whose rows were changed by hand and hold what no training may have."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError, create_model
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models.records.tables import Training
from models.records.tables.columns import Json, UtcDateTime
from models.training.config import TrainingConfig
from models.types.causes import Cause
from models.types.clock import now
from models.types.job import LOWEST_PRIORITY
from models.types.message import QUEUE_NAME, what_is_invalid
from models.types.states import JobState

_UID = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
#: What is more than its kind: names are parts of paths, in Redis and on the disk.
_NARROWER: dict[str, Any] = {
    "uid": _UID,
    "place": _UID,
    "name": Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")],
    "queue": Annotated[str, Field(pattern=f"^{QUEUE_NAME}$")],
    "priority": Annotated[int, Field(ge=0, le=LOWEST_PRIORITY)],
}


def _kind(column: Any) -> Any:
    if isinstance(column.type, UtcDateTime):
        kind: Any = datetime
    else:
        kind = dict if isinstance(column.type, Json) else column.type.python_type
    kind = _NARROWER.get(column.name, kind)
    return (kind | None, ...) if column.nullable else (kind, ...)


#: SQLite keeps anything in any column.
_ROW: Any = create_model(
    "_Row",
    __config__=ConfigDict(strict=True, from_attributes=True),
    **{column.name: _kind(column) for column in Training.__table__.columns},
)


def spoilt_trainings(session: Session) -> dict[int, str]:
    """Return what is wrong with queued trainings, by their numbers."""
    numbers = session.scalars(select(Training.id).where(Training.state == JobState.QUEUED)).all()
    return {number: what for number in numbers if (what := _problem(session, number)) is not None}


def fail_spoilt(session: Session) -> dict[int, str]:
    """Fail those, and return what is wrong with each."""
    found = spoilt_trainings(session)
    for number, what in found.items():
        session.execute(
            update(Training)
            .where(Training.id == number, Training.state == JobState.QUEUED)
            .values(state=JobState.FAILED, cause=Cause.INVALID, error=what, finished_at=now())
            .execution_options(synchronize_session=False)
        )
    return found


def _problem(session: Session, number: int) -> str | None:
    try:
        row = session.scalars(
            select(Training).where(Training.id == number).execution_options(populate_existing=True)
        ).one()
        _ROW.model_validate(row)
        TrainingConfig.model_validate(row.config)
    except ValidationError as error:
        return what_is_invalid(error)
    except (ValueError, TypeError, LookupError) as error:
        # A value that no training may have, a time that is none, JSON cut short.
        return f"cannot be read: {error}"
    return None
