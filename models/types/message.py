"""Messages on the queue: one is worth one job, and which one that is the record says; or a training's next segment."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.types.job import MAX_KEY

VERSION = 3
_OF_JOBS = 2
#: The queue of jobs that name none, and what names of queues are.
DEFAULT_QUEUE = "jobs"
QUEUE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
#: No program will ever write this one: what says so is spoiled.
_NO_VERSION = 1_000
_UID = r"^[0-9a-f]{32}$"


class NewerMessageError(Exception):
    """A message that only a newer program understands."""


class JobMessage(BaseModel):
    """`job` is the number of the row that it was sent for, and `batch` the batch's random uid.

    The uid tells this database's messages from those of another one, or of one that was begun anew beside an old queue.
    Version 1 held the job's spec as well. What a message holds beyond these is not read, so that a program may add to
    it.
    """

    model_config = ConfigDict(frozen=True)

    version: int = Field(default=_OF_JOBS, ge=1, le=_OF_JOBS, strict=True)
    job: int = Field(ge=1, le=MAX_KEY)
    batch: str = Field(pattern=_UID)


class SegmentMessage(BaseModel):
    """`training` is the number of a training's row, and `uid` its random uid."""

    model_config = ConfigDict(frozen=True)

    version: int = Field(default=VERSION, ge=VERSION, le=VERSION, strict=True)
    training: int = Field(ge=1, le=MAX_KEY)
    uid: str = Field(pattern=_UID)


def read_message(payload: object) -> JobMessage | SegmentMessage:
    """Return the message that a delivery carries.

    Raises:
        NewerMessageError: if it is of a version that this program does not know, whatever else it holds.
        ValidationError: if it is no message of ours.
    """
    match payload:
        case {"version": int(version)} if VERSION < version < _NO_VERSION:
            raise NewerMessageError(f"a message of version {version}, and this program knows {VERSION}")
        case {"version": int(version)} if version == VERSION:
            return SegmentMessage.model_validate(payload)
    return JobMessage.model_validate(payload)


def what_is_invalid(error: ValidationError) -> str:
    """Return in one line what a model does not take, without what stands there."""
    found = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'value'}: {one['msg']}" for one in found)
