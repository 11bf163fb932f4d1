"""The warm-up: a throw-away generation after a load, so that no picture pays for compiled kernels and first memory."""

from models.checkpoints import checkpoint_defaults
from models.settings import Settings
from models.types.job import JobSpec
from worker.engine.devices.device import Device
from worker.engine.generation import generate
from worker.engine.loading import LoadedCheckpoint

_PROMPT = "a photo"


def warm_up_spec(checkpoint: str, settings: Settings) -> JobSpec:
    """Return a job of the size that most have, with few steps."""
    usual = checkpoint_defaults(checkpoint)
    return JobSpec(
        prompt=_PROMPT,
        seed=0,
        steps=min(settings.warmup_steps, usual.steps),
        guidance=usual.guidance,
        width=usual.width,
        height=usual.height,
        scheduler=usual.scheduler,
        checkpoint=checkpoint,
    )


def warm_up(loaded: LoadedCheckpoint, device: Device, spec: JobSpec) -> None:
    """Make the picture of `spec` through the same code as any other, and throw it away.

    Raises:
        GenerationError: if it cannot be made.
    """
    generate(loaded, device, spec, lambda _step: None)
