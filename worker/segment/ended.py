"""A segment that has ended, as whoever is told of it sees it."""

from dataclasses import dataclass

from models.records.trainings.segments import SegmentClaim, SegmentResult
from models.types.states import Outcome


@dataclass(frozen=True)
class EndedSegment:
    """What was claimed, and what came of it."""

    claim: SegmentClaim
    result: SegmentResult
    #: Whether it was recorded; else the training was no longer this segment's.
    is_owned: bool

    @property
    def outcome(self) -> str:
        """How it ended, as figures name it."""
        return self.result.outcome if self.is_owned else "disowned"

    @property
    def steps(self) -> int:
        """Steps that were taken and are recorded."""
        is_done = self.is_owned and self.result.outcome is Outcome.SUCCEEDED
        return (self.result.step or 0) - self.claim.step if is_done else 0
