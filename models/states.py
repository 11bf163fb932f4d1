"""States of a job and outcomes of an attempt."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands.

    `queued -> running -> succeeded | failed | cancelled`; back to queued by rescue or retry alone.
    """

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


#: A job in one of these needs nothing more from a worker.
FINISHED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class Outcome(StrEnum):
    """How one attempt ended; `lost` is one whose worker went away before it settled."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
