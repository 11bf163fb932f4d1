"""Every error that a user can cause or mend, under one root.

The message of each is one line: what happened, to which job or line, and what to do next.
"""

import errno
from collections.abc import Mapping
from typing import Any

from models.types.causes import Cause


class NightshiftError(Exception):
    """Root of the project's own errors; the command line shows its message without a traceback."""

    #: The cause of an attempt's end that such an error is; None where nobody foresaw it there.
    cause: Cause | None = None


class BadInputError(NightshiftError):
    """What the user typed or wrote in a file does not hold; carries every problem found at once."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SettingsError(NightshiftError):
    """A `NIGHTSHIFT_` variable or a line of `.env` has a value that cannot be used."""


class NotFoundError(NightshiftError):
    """No batch, job or record answers to what was asked for."""


class DatabaseError(NightshiftError):
    """The database cannot be reached, written, or is of another version than this program."""


class UnreadableRowError(NightshiftError, ValueError):
    """A row holds what is no time, or no JSON: it was changed by hand, or its file is damaged."""


class DatabaseBusyError(DatabaseError):
    """The database cannot be used at this moment: another program holds it, its disk is full, or the link was cut."""


class BrokerError(NightshiftError):
    """The Redis server cannot be reached or does not let us in."""


class NameTakenError(NightshiftError):
    """Another's picture has the name that a picture was to have."""


class CheckpointError(NightshiftError):
    """A checkpoint is missing, incomplete, or of a kind that is not loaded here."""

    cause = Cause.CHECKPOINT


class LoraError(NightshiftError):
    """A LoRA is missing, damaged, for other weights, or of a layout that is not known whole."""

    cause = Cause.LORA


class TrainingError(NightshiftError):
    """What a training needs cannot be used: its pictures, their captions, or its state."""

    cause = Cause.TRAINING


class DeviceError(NightshiftError):
    """The device that was asked for is absent, or another worker has it."""


class DeviceFaultError(NightshiftError):
    """The device did not do what it was told: what came of it is no picture, and only a new process helps."""

    cause = Cause.DEVICE


class GenerationError(NightshiftError):
    """One job cannot become a picture; `cause` is the short word under which the report counts it."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class CancelledError(NightshiftError):
    """The running job was cancelled by `producer cancel`."""

    cause = Cause.CANCELLED


class InvalidJobError(NightshiftError):
    """A queued job's row, or its batch's, holds what no job may have: it was changed by hand, or is damaged."""

    def __init__(self, job_id: int, message: str) -> None:
        super().__init__(message)
        self.job_id = job_id


class QueuePausedError(NightshiftError):
    """A person has paused the queue."""


class ElsewhereError(NightshiftError):
    """What a message asks for can only be done by a worker of another machine, or of another data folder."""


class ProcessFaultError(NightshiftError):
    """The worker's process could not begin a job, for a reason that is not the job's: no thread could be started."""

    cause = Cause.PROCESS


class ExaminerError(NightshiftError):
    """Nobody can look at pictures, for a reason that is not theirs: no verdict comes of it."""

    cause = Cause.PROCESS


class LimitsChangedError(NightshiftError):
    """A picture was judged by limits that its batch has no more; `limits` are those that it has."""

    def __init__(self, limits: Mapping[str, Mapping[str, Any]] | None) -> None:
        super().__init__("the limits of the batch's checks were changed")
        self.limits = limits


class LostClaimError(NightshiftError):
    """The running job is no longer this attempt's: another worker was given it, or a person settled it."""

    cause = Cause.WORKER_LOST


class AttemptStoppedError(NightshiftError):
    """The worker was told to end at once: its job goes back to the queue."""

    cause = Cause.STOPPED


class StorageError(NightshiftError):
    """A picture cannot be written: the worker waits until it can, since every other job would fail too."""

    cause = Cause.STORAGE


def lacks_file_handle(error: BaseException) -> bool:
    """Tell whether an error says that this process, or the machine, has as many files open as it may have."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)
