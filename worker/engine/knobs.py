"""The knobs of a pipeline: what the settings say of them, and what turning one does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from models.settings import Settings
from models.types.identity import Knobs


def knobs_of(settings: Settings) -> Knobs:
    """Return how the settings have a pipeline work."""
    return Knobs(attention_slicing=settings.attention_slicing)


def turn(pipeline: Any, knobs: Knobs) -> None:
    """Have the pipeline work so."""
    if knobs.attention_slicing:
        pipeline.enable_attention_slicing()
    else:
        pipeline.disable_attention_slicing()


@contextmanager
def with_less_memory(pipeline: Any, knobs: Knobs) -> Iterator[None]:
    """Have the pipeline take less memory and longer while the block runs, and work by the knobs again after it."""
    turn(pipeline, replace(knobs, attention_slicing=True))
    try:
        yield
    finally:
        turn(pipeline, knobs)
