"""Pictures by which the checkpoints of a training are compared: the same prompts and seeds with each of them."""

from collections.abc import Iterator

from models.checkpoints import checkpoint_defaults
from models.training.config import TrainingConfig
from models.training.data_set import DataSet
from models.types.job import MAX_PROMPT, MAX_SEED, JobSpec

#: Captions that are taken where no prompts are named, at most.
_SHOWN = 3


def captions_to_show(data: DataSet) -> tuple[str, ...]:
    """Return some captions, as prompts of the pictures by which checkpoints are compared; none where there are none.

    They are of what is held out, if anything is, and spread over all of it.
    """
    captions = dict.fromkeys(one.caption for one in data.held_out or data.learnt)
    usable = [text for text in captions if text.strip() and len(text) <= MAX_PROMPT and "\0" not in text]
    return tuple(usable[:: -(-len(usable) // _SHOWN) or 1])


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
                # The last seed of all is followed by the first.
                seed=(config.seed + number) % (MAX_SEED + 1),
                steps=usual.steps,
                guidance=usual.guidance,
                width=config.resolution,
                height=config.resolution,
                scheduler=usual.scheduler,
                checkpoint=config.model_id,
                lora=lora,
            )
