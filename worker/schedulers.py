"""Building a diffusers scheduler by its name in `models.schedulers`."""

from typing import Any

import diffusers

from models.schedulers import SCHEDULERS


def make_scheduler(name: str, checkpoint_config: Any) -> Any:
    """Return a new scheduler over the checkpoint's own noise schedule.

    A scheduler keeps state from step to step, so every generation gets one of its own.
    """
    scheduler = SCHEDULERS[name]
    return getattr(diffusers, scheduler.diffusers_class).from_config(checkpoint_config, **scheduler.options)
