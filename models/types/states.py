"""States of a job and outcomes of an attempt."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands.

    `queued -> running -> succeeded | rejected | failed | cancelled | quarantined`; back to queued by rescue or retry
    alone. Rejected is a job whose picture was made, but is not what its batch accepts; a person, or other limits, may
    turn it into succeeded and back. Quarantined is a job that took its worker down too often: it never runs again
    unless a person retries it.
    """

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"


#: A job in one of these needs nothing more from a worker.
FINISHED = (JobState.SUCCEEDED, JobState.REJECTED, JobState.FAILED, JobState.CANCELLED, JobState.QUARANTINED)

#: A picture of the job is there.
MADE = (JobState.SUCCEEDED, JobState.REJECTED)

#: Ended without a picture for a reason that the row tells; `retry` queues these again.
FAULTY = (JobState.FAILED, JobState.QUARANTINED)


class Outcome(StrEnum):
    """How one attempt ended; `lost` is one whose worker went away before it settled."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


class GuardStep(StrEnum):
    """What the memory guard does, the cheapest first: each is tried where the one before did not help."""

    EMPTY_CACHES = "empty caches"
    RELOAD = "reload"
    RESTART = "restart"
