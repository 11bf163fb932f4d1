"""Pictures by which the checkpoints of a training are compared: the same prompts and seeds with each of them."""

from collections.abc import Iterator

from models.checkpoints import checkpoint_defaults
from models.training.config import TrainingConfig
from models.types.job import JobSpec


def validation_specs(config: TrainingConfig, lora: str) -> Iterator[JobSpec]:
    """Return what is to be made with a LoRA, as jobs name it, or with none where it is empty.

    Raises:
        CheckpointError: as `checkpoint_defaults` does.
    """
    usual = checkpoint_defaults(config.model_id)
    for prompt in config.validation_prompt:
        for number in range(config.num_validation_images):
            yield JobSpec(
                prompt=prompt,
                seed=config.seed + number,
                steps=usual.steps,
                guidance=usual.guidance,
                width=config.resolution,
                height=config.resolution,
                scheduler=usual.scheduler,
                checkpoint=config.model_id,
                lora=lora,
            )
