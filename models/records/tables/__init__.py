"""Tables: batches, jobs, boots, loads, attempts, verdicts, likenesses, pauses, guard actions, trainings, segments.

Times of day (`_at`) are UTC and for people; beside those that a span is counted from stands a reading of
`models.types.clock`. Durations are seconds (`_s`), of a clock that nobody can set; sizes are bytes (`_bytes`).
A measurement that was not made is NULL, never 0.
"""

from models.records.tables.columns import Base
from models.records.tables.jobs import Batch, Job, Likeness, Pause, Verdict
from models.records.tables.trainings import Segment, Training
from models.records.tables.workers import Attempt, Boot, GuardAction, Load, SweepLease

#: The version in `migrations` that makes these tables.
SCHEMA_VERSION = "0022"

__all__ = [
    "SCHEMA_VERSION",
    "Attempt",
    "Base",
    "Batch",
    "Boot",
    "GuardAction",
    "Job",
    "Likeness",
    "Load",
    "Pause",
    "Segment",
    "SweepLease",
    "Training",
    "Verdict",
]
