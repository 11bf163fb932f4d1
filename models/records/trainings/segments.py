"""Segments: claimed by a worker, and ended; each changes its training only as long as that is still the claim's."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, exists, select, update
from sqlalchemy.orm import Session

from models.records.attempts import Ended, Recorded, let_go
from models.records.control import paused_since
from models.records.rescue import earlier_boots
from models.records.tables import Boot, Segment, Training
from models.records.trainings.spoilt import spoilt_trainings
from models.types.causes import Cause
from models.types.clock import now
from models.types.errors import ElsewhereError, QueuePausedError
from models.types.fate import Fate, Tries, fate
from models.types.message import SegmentMessage
from models.types.states import JobState, Outcome

_HEARTBEAT = cast(Training.heartbeat_at, Text)


@dataclass(frozen=True)
class SegmentClaim:
    """A worker's right to one segment; it holds as long as training, boot and number match the row."""

    training_id: int
    uid: str
    name: str
    segment_id: int
    #: 1 for the training's first segment.
    number: int
    boot_id: int
    started_at: datetime
    config: Mapping[str, Any]
    data: str
    queue: str
    #: Steps taken so far, and in all.
    step: int
    steps: int
    state_file: str | None
    #: Of the weights that it began with; None in the first segment.
    revision: str | None
    rate_share: float
    saves_memory: bool
    priority: int
    failures: int
    losses: int

    @property
    def may_save_memory(self) -> bool:
        """Whether there is a way with less memory that was not taken yet."""
        return bool(self.config.get("gradient_checkpointing")) and not self.saves_memory

    @property
    def ids(self) -> dict[str, object]:
        """What a line of the log is about, as it names it for machines."""
        return {"training": self.name, "segment": self.number}


@dataclass(frozen=True)
class SegmentMeasurement:
    """What a segment measured, as its columns; None where it was not."""

    ready_s: float | None = None
    step_s: float | None = None
    pictures_a_step: int | None = None
    save_s: float | None = None
    loss: float | None = None
    held_out_loss: float | None = None
    learning_rate: float | None = None
    rss_peak_bytes: int | None = None
    device_allocated_peak_bytes: int | None = None
    device_driver_peak_bytes: int | None = None


@dataclass(frozen=True)
class SegmentResult:
    """How a segment ended."""

    outcome: Outcome
    #: Steps taken by then, and what lies on the disk of them.
    step: int | None = None
    state_file: str | None = None
    #: Of the weights that were trained on.
    revision: str | None = None
    lora: str | None = None
    cause: Cause | None = None
    error: str | None = None
    measured: SegmentMeasurement = field(default_factory=SegmentMeasurement)


def claim_segment(session: Session, message: SegmentMessage, boot_id: int, place: str) -> SegmentClaim | None:
    """Begin the next segment of the training that a message names; None where it does not wait.

    Raises:
        QueuePausedError: nothing begins now.
        ElsewhereError: its files do not lie in the data folder called `place`.
    """
    if paused_since(session) is not None:
        raise QueuePausedError
    if message.training in spoilt_trainings(session):
        # The sweep fails it, and says why.
        return None
    of_message = (Training.id == message.training, Training.uid == message.uid, Training.state == JobState.QUEUED)
    elsewhere = session.scalar(select(Training.name).where(*of_message, Training.place != place))
    if elsewhere is not None:
        raise ElsewhereError(f"the files of training {elsewhere} are in another data folder than this worker's")
    moment = now()
    found = session.scalar(
        update(Training)
        .where(*of_message)
        .values(
            state=JobState.RUNNING,
            segments=Training.segments + 1,
            boot_id=boot_id,
            heartbeat_at=moment,
            published_at=None,
            not_before=None,
            cancel_requested=False,
        )
        .returning(Training.id)
        .execution_options(synchronize_session=False)
    )
    if found is None:
        return None
    row = session.scalars(select(Training).where(Training.id == found).execution_options(populate_existing=True)).one()
    segment = Segment(training_id=row.id, boot_id=boot_id, number=row.segments, begun_step=row.step, started_at=moment)
    session.add(segment)
    session.flush()
    return _claim_of(row, segment)


def unanswered_segment(session: Session, boot_id: int) -> SegmentClaim | None:
    """Return the claim of this boot whose answer was lost; for a worker that has no segment in hand."""
    found = session.execute(
        select(Training, Segment)
        .join(Segment, (Segment.training_id == Training.id) & (Segment.number == Training.segments))
        .where(Training.state == JobState.RUNNING, Training.boot_id == boot_id, Segment.outcome == Outcome.RUNNING)
    ).first()
    return None if found is None else _claim_of(found.Training, found.Segment)


def _claim_of(row: Training, segment: Segment) -> SegmentClaim:
    return SegmentClaim(
        training_id=row.id,
        uid=row.uid,
        name=row.name,
        segment_id=segment.id,
        number=segment.number,
        boot_id=segment.boot_id,
        started_at=segment.started_at,
        config=row.config,
        data=row.data,
        queue=row.queue,
        step=row.step,
        steps=row.steps,
        state_file=row.state_file,
        revision=row.revision,
        rate_share=row.rate_share,
        saves_memory=row.saves_memory,
        priority=row.priority,
        failures=row.failures,
        losses=row.losses,
    )


def renew_segment(session: Session, claim: SegmentClaim) -> bool | None:
    """Give a sign of life; return whether cancelling was asked for, None where the claim is lost."""
    return session.scalar(
        update(Training)
        .where(*_is_claims(claim))
        .values(heartbeat_at=now())
        .returning(Training.cancel_requested)
        .execution_options(synchronize_session=False)
    )


def advance(session: Session, claim: SegmentClaim, result: SegmentResult, ended: Ended) -> Recorded:
    """Write that steps were taken, and queue the next segment or end the training."""
    values: dict[str, object] = {"step": result.step, "state_file": result.state_file, "revision": result.revision}
    values |= {"losses": 0, "failures": 0}
    if result.step is not None and result.step >= claim.steps:
        values |= {"state": JobState.SUCCEEDED, "finished_at": ended.at, "cancel_requested": False}
    else:
        values |= let_go(Training, ended.at)
    return _end(session, claim, result, ended, values)


def fail(session: Session, claim: SegmentClaim, result: SegmentResult, ended: Ended) -> Recorded:
    """Write that a training ended with a segment that failed or was cancelled."""
    state = JobState.CANCELLED if result.outcome is Outcome.CANCELLED else JobState.FAILED
    values = {"state": state, "finished_at": ended.at, "cause": result.cause, "error": result.error}
    return _end(session, claim, result, ended, values)


def try_again(
    session: Session,
    claim: SegmentClaim,
    result: SegmentResult,
    ended: Ended,
    *,
    wait_s: float = 0.0,
    failed: bool = False,
    **changes: object,
) -> Recorded:
    """Queue the segment once more, not to be published for `wait_s` seconds; `changes` are of the training's row."""
    later = {"not_before": ended.at + timedelta(seconds=wait_s)} if wait_s else {}
    counted = {"failures": Training.failures + 1} if failed else {}
    return _end(session, claim, result, ended, let_go(Training, ended.at) | later | counted | changes)


def lose_segment(
    session: Session, claim: SegmentClaim, result: SegmentResult, ended: Ended, *, set_aside: bool
) -> Recorded:
    """Queue a segment once more that takes its worker down, or set its training aside.

    Before that it is tried with less memory, where its configuration has it so: a system that runs out of memory kills
    the worker without a word.
    """
    if set_aside and claim.may_save_memory:
        return _end(session, claim, result, ended, let_go(Training, ended.at) | {"losses": 0, "saves_memory": True})
    values = {"losses": Training.losses + 1} | let_go(Training, ended.at, set_aside=set_aside)
    return _end(session, claim, result, ended, values)


@dataclass(frozen=True)
class RunningTraining:
    """What the row of a running training says of its worker; it changes with every sign of life."""

    training_id: int
    number: int
    boot_id: int | None
    heartbeat_at: str | None


def running_trainings(session: Session) -> list[RunningTraining]:
    """Return the running trainings of all boots."""
    columns = (Training.id, Training.segments, Training.boot_id, _HEARTBEAT)
    rows = session.execute(select(*columns).where(Training.state == JobState.RUNNING))
    return [RunningTraining(*row) for row in rows]


def rescue_segments(
    session: Session, boot_id: int, tries: Tries, stalled: Sequence[RunningTraining] | None = None
) -> list[str]:
    """Put back the trainings of earlier boots under this boot's lock, or the `stalled` ones; return their names."""
    if stalled is None:
        return _rescued(session, boot_id, tries, Training.boot_id.in_(earlier_boots(boot_id)))
    names = []
    for one in stalled:
        unchanged = (Training.id == one.training_id) & (Training.segments == one.number)
        names += _rescued(session, boot_id, tries, unchanged & (one.heartbeat_at == _HEARTBEAT))
    return names


def _rescued(session: Session, boot_id: int, tries: Tries, which: ColumnElement[bool]) -> list[str]:
    killed = exists().where(Boot.id == Training.boot_id, Boot.ended_at.is_(None), Boot.id != boot_id)
    query = (
        select(Training, Segment, killed.label("took_it_down"))
        .join(Segment, (Segment.training_id == Training.id) & (Segment.number == Training.segments))
        .where(Training.state == JobState.RUNNING, which)
        .with_for_update(of=Training)
        .execution_options(populate_existing=True)
    )
    names = []
    for row, segment, took_it_down in session.execute(query).all():
        cause = Cause.WORKER_LOST if took_it_down else Cause.STOPPED
        becomes = fate(Outcome.LOST, cause, row.failures, row.losses, tries)
        result = SegmentResult(Outcome.LOST, cause=Cause.WORKER_LOST, error=Cause.WORKER_LOST.sentence)
        claim = _claim_of(row, segment)
        if becomes is Fate.GIVE_BACK:
            try_again(session, claim, result, Ended.now())
        else:
            lose_segment(session, claim, result, Ended.now(), set_aside=becomes is Fate.QUARANTINE)
        names.append(row.name)
    return names


def _is_claims(claim: SegmentClaim) -> tuple[ColumnElement[bool], ...]:
    return (
        Training.id == claim.training_id,
        Training.state == JobState.RUNNING,
        Training.boot_id == claim.boot_id,
        Training.segments == claim.number,
    )


def _end(
    session: Session, claim: SegmentClaim, result: SegmentResult, ended: Ended, values: Mapping[str, object]
) -> Recorded:
    """Give the claim's training the values, and write its segment's end."""
    found = session.scalar(
        update(Training)
        .where(*_is_claims(claim))
        .values(dict(values))
        .returning(Training.id)
        .execution_options(synchronize_session=False)
    )
    if found is None:
        # To the microsecond, which no other end of the same segment has.
        earlier = exists().where(Segment.id == claim.segment_id, Segment.finished_at == ended.at)
        return Recorded.EARLIER if session.scalar(select(earlier)) else Recorded.NOT
    session.execute(
        update(Segment)
        .where(Segment.id == claim.segment_id)
        .values(
            {
                "ended_step": result.step,
                "outcome": result.outcome,
                "cause": result.cause,
                "error": result.error,
                "lora": result.lora,
                "finished_at": ended.at,
            }
            | asdict(result.measured)
        )
        .execution_options(synchronize_session=False)
    )
    return Recorded.NOW
