"""The batch of pictures by which the checkpoints of a training are compared: one job after the other is added to it."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.records.batches import Acceptance, KnownBatch, PlannedJob, add_jobs, create_batch
from models.records.tables import Batch, Training
from models.training.config import TrainingConfig
from models.training.validation import validation_specs

#: What the pictures without a LoRA are called among the variants.
_NONE = "none"


def create_validation(
    session: Session, training_id: int, config: TrainingConfig, acceptance: Acceptance
) -> KnownBatch | None:
    """Add a training's batch, with the pictures of the checkpoint alone; None where it has no such pictures.

    They go before the training's own segments.

    Raises:
        BadInputError: if a batch of that name is there already.
    """
    jobs = [PlannedJob(spec, attributes={"lora": _NONE}) for spec in validation_specs(config, "")]
    if not jobs:
        return None
    training = session.get_one(Training, training_id)
    batch = create_batch(
        session,
        validation_name(training.name),
        f"training {training.name}",
        jobs,
        queue=training.queue,
        priority=max(0, training.priority - 1),
        # Of no other batch: what is added to it nobody can ask for once more.
        digest=training.uid,
        acceptance=acceptance,
    )
    training.validation_batch_id = batch.id
    return batch


def validation_name(training: str) -> str:
    """Return what the batch of a training's pictures is called."""
    return f"{training}-validation"


def add_validation(session: Session, training_id: int, config: TrainingConfig, lora: str) -> int:
    """Add a training's pictures with a LoRA to its batch, unless that was cancelled, and return how many."""
    training = session.get_one(Training, training_id)
    batch_id = training.validation_batch_id
    if batch_id is None or session.scalar(select(Batch.cancelled_at).where(Batch.id == batch_id)) is not None:
        return 0
    variant = {"lora": lora}
    jobs = [PlannedJob(spec, attributes=variant) for spec in validation_specs(config, lora)]
    add_jobs(session, batch_id, jobs, queue=training.queue, priority=max(0, training.priority - 1))
    return len(jobs)
