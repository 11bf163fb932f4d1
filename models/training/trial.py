"""What was measured of a training by trying it, before it is asked for."""

from dataclasses import dataclass

from models.training.config import TrainingConfig


@dataclass(frozen=True)
class Trial:
    """Some steps of a training that were taken and thrown away."""

    #: Until the weights are on the device, and for each picture that is encoded.
    load_s: float
    encode_s: float
    #: Of one batch that goes through the UNet and back; a step has `gradient_accumulation_steps` of them.
    batch_s: float
    #: Whether memory ran out, and was saved after that.
    saves_memory: bool
    #: The device's memory at its peak, or the process's where a device has none of its own; None: it has no counter.
    peak_bytes: int | None
    #: On the disk: of a state, of a LoRA in both layouts, and of a picture that was encoded.
    state_bytes: int
    lora_bytes: int
    picture_bytes: int

    def seconds(self, config: TrainingConfig, pictures: int) -> float:
        """Return how long all steps take, once so many pictures are encoded; not what is held out or saved."""
        encoded = pictures * (2 if config.random_flip else 1)
        steps = config.max_train_steps * config.gradient_accumulation_steps
        return self.load_s + encoded * self.encode_s + steps * self.batch_s

    def disk_bytes(self, config: TrainingConfig, pictures: int) -> int:
        """Return what it takes on the disk in the end; pictures that are made on the way come on top."""
        saved = {config.max_train_steps}
        for each in (config.checkpointing_steps, config.validation_steps):
            saved |= set(range(each, config.max_train_steps, each))
        encoded = pictures * (2 if config.random_flip else 1) * self.picture_bytes
        # The state before is removed once the next is recorded.
        return len(saved) * self.lora_bytes + 2 * self.state_bytes + encoded
