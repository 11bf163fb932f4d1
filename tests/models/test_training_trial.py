"""What a trial says of the whole of a training."""

from models.training.config import TrainingConfig
from models.training.trial import Trial

TRIAL = Trial(
    load_s=5.0,
    encode_s=0.5,
    batch_s=2.0,
    saves_memory=False,
    peak_bytes=None,
    state_bytes=1_000,
    lora_bytes=100,
    picture_bytes=10,
)


def config(**changed):
    usual = {"max_train_steps": 10, "gradient_accumulation_steps": 4, "checkpointing_steps": 4, "validation_steps": 6}
    return TrainingConfig(**usual | changed)


def test_time_is_that_of_the_load_of_each_picture_and_of_each_batch():
    assert TRIAL.seconds(config(), 20) == 5 + 20 * 0.5 + 10 * 4 * 2.0
    # Mirrored ones are encoded, too.
    assert TRIAL.seconds(config(random_flip=True), 20) == 5 + 40 * 0.5 + 10 * 4 * 2.0


def test_the_disk_has_a_lora_for_each_mark_and_room_for_two_states():
    # After 4, 6, 8 and 10 steps.
    assert TRIAL.disk_bytes(config(), 20) == 4 * 100 + 2 * 1_000 + 20 * 10
    assert TRIAL.disk_bytes(config(checkpointing_steps=500, random_flip=True), 20) == 2 * 100 + 2 * 1_000 + 40 * 10
