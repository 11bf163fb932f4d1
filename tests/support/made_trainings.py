"""Trainings that are under way without a worker having learnt anything: rows, and a state of no content."""

from datetime import timedelta

from installation import Installation
from sqlalchemy import select

from models.records.attempts import Ended
from models.records.boots import newest_boot
from models.records.tables import Training
from models.records.trainings import segments
from models.records.trainings.segments import SegmentClaim, SegmentMeasurement, SegmentResult
from models.records.trainings.trainings import create_training
from models.training.config import TrainingConfig
from models.types.message import SegmentMessage
from models.types.states import Outcome

PLACE = "a" * 32
STEPS, STEPS_A_SEGMENT = 60, 10


def write_training(made: Installation, name: str, *, segments_done: int) -> None:
    """Write a training of which so many segments are done, by the newest boot there is."""
    config = TrainingConfig(model_id="demo", max_train_steps=STEPS).model_dump(mode="json")
    with made.database.writing() as session:
        create_training(
            session, name, config, data="/data", place=PLACE, pictures=8, held_out=2, steps=STEPS, priority=5
        )
    for number in range(1, segments_done + 1):
        measured = SegmentMeasurement(ready_s=0.1, step_s=2.0, pictures_a_step=4, loss=1 / number)
        result, claimed = done(number * STEPS_A_SEGMENT, measured), claim(made, name)
        # Segments take longer and longer.
        with made.database.writing() as session:
            segments.advance(session, claimed, result, later(18 + number))
    folder = made.data_dir / "trainings" / name
    folder.mkdir(parents=True)
    (folder / f"state-{segments_done * STEPS_A_SEGMENT:06d}.bin").write_bytes(bytes(2000))


def done(step: int, measured: SegmentMeasurement | None = None) -> SegmentResult:
    """Return what came of a segment that took its steps."""
    measured = measured or SegmentMeasurement()
    return SegmentResult(Outcome.SUCCEEDED, step=step, state_file=f"state-{step:06d}.bin", measured=measured)


def claim(made: Installation, name: str) -> SegmentClaim:
    """Begin the next segment."""
    with made.database.writing() as session:
        row = session.scalars(select(Training).where(Training.name == name)).one()
        message = SegmentMessage(training=row.id, uid=row.uid)
        claimed = segments.claim_segment(session, message, newest_boot(session), PLACE)
    assert claimed is not None
    return claimed


def later(seconds: float) -> Ended:
    """Return an end so much later than now."""
    now = Ended.now()
    return Ended(now.at + timedelta(seconds=seconds), None if now.s is None else now.s + seconds)
