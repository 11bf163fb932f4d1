"""An attempt as it goes from step to step: what is known of it so far, and how an error ends it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from PIL.Image import Image

from models.pictures.names import standing_name
from models.records.attempts import Result
from models.records.claims import Claim
from models.types.causes import Cause
from models.types.finding import Finding
from models.types.measurement import LoadMeasurement, Measurement
from models.types.states import Outcome
from worker.care.cause import cause_of
from worker.care.heartbeat import Heartbeat


@dataclass(frozen=True)
class Attempt:
    """One attempt of this worker's; each step takes it and returns what it has become."""

    claim: Claim
    heartbeat: Heartbeat
    #: To be called as soon as the next message may come: the claimed row is the record, and the message says no more.
    acknowledge: Callable[[], None] = lambda: None
    #: What was in memory when the picture was made; a later switch does not change it.
    load: LoadMeasurement | None = None
    load_id: int | None = None
    picture: Image | None = None
    measured: Measurement = field(default_factory=Measurement)
    #: What the picture is called if it is accepted.
    name: str | None = None
    #: The picture's file.
    content: bytes | None = None
    #: What the batch's checks found of it, and what later pictures are compared with it by.
    findings: Sequence[Finding] = ()
    likeness: bytes | None = None
    outcome: Outcome = Outcome.RUNNING
    cause: Cause | None = None
    error: str | None = None
    #: Whether the job was still this attempt's when it was settled; None before.
    is_owned: bool | None = None
    #: Whether the job waits for its next try.
    is_postponed: bool = False
    #: The job that was queued to stand in for this one.
    replaced_by: int | None = None

    def advance(self, step: int) -> None:
        """Note that its job got on; raises as `Heartbeat.advance` does."""
        self.heartbeat.advance(self.claim, step)

    def wait(self, seconds: float) -> None:
        """Wait for something outside of its job; raises as `Heartbeat.wait` does."""
        self.heartbeat.wait(self.claim, seconds)

    @property
    def picture_name(self) -> str | None:
        """The name of the job's picture, once it has one; a rejected one has one of its own."""
        return None if self.name is None else standing_name(self.name, rejected=self.is_rejected)

    @property
    def is_rejected(self) -> bool:
        """Whether a check is against the picture."""
        return not all(finding.passed for finding in self.findings)

    @property
    def result(self) -> Result:
        """What the row says of it."""
        return Result(
            outcome=self.outcome,
            measured=self.measured,
            load_id=self.load_id,
            picture=None if self.content is None else self.picture_name,
            cause=self.cause,
            error=self.error,
            findings=self.findings,
            likeness=None if self.likeness is None else self.likeness.hex(),
        )


def ended_by(attempt: Attempt, error: BaseException) -> Attempt:
    """Return the attempt as an error ended it: no picture comes of it, and its row is to say why."""
    cause, what = cause_of(error, f"job {attempt.claim.job_id}", {"job": attempt.claim.job_id})
    # Reads take an attempt with a total for one that succeeded.
    measured = replace(attempt.measured, total_s=None, gap_s=None)
    return replace(
        attempt,
        outcome=cause.outcome,
        cause=cause,
        error=what,
        measured=measured,
        picture=None,
        content=None,
        findings=(),
        likeness=None,
    )
