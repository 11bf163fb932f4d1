"""Bringing a checkpoint's weights to the device."""

from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import diffusers
import torch
from diffusers.loaders.single_file_utils import SingleFileComponentError
from safetensors import SafetensorError

from models.settings import Settings
from models.types.errors import CheckpointError
from models.types.identity import Knobs
from models.types.schedulers import SCHEDULERS
from worker.engine.checkpoints.local_checkpoint import LocalCheckpoint, remedy
from worker.engine.denoising.denoiser import Denoiser
from worker.engine.devices.device import Device
from worker.engine.families.family import Family
from worker.engine.families.registry import family_of
from worker.engine.knobs import knobs_of, turn
from worker.engine.making.prompt_embeddings import PromptEmbeddings

#: What the libraries raise over files that are missing, broken or of something else. `NotImplementedError` is
#: torch's word for weights that a file did not have.
_UNUSABLE = (
    OSError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    NotImplementedError,
    SafetensorError,
    SingleFileComponentError,
)


class Schedulers:
    """Makes schedulers over one checkpoint's own noise schedule."""

    def __init__(self, checkpoint_config: Any) -> None:
        self._unused = cache(partial(_build, checkpoint_config))

    def new(self, name: str) -> Any:
        """Return a scheduler that nothing has used: it keeps state from step to step, so each picture gets its own."""
        # A copy takes a fifth of the time that building one does, and gives the same numbers to the bit.
        return deepcopy(self._unused(name))


def _build(checkpoint_config: Any, name: str) -> Any:
    scheduler = SCHEDULERS[name]
    return getattr(diffusers, scheduler.diffusers_class).from_config(checkpoint_config, **scheduler.options)


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A pipeline on the device."""

    name: str
    revision: str
    family: Family
    pipeline: Any
    prompt_embeddings: PromptEmbeddings
    #: Over the checkpoint's own noise schedule.
    schedulers: Schedulers
    denoiser: Denoiser
    knobs: Knobs


def load_checkpoint(checkpoint: LocalCheckpoint, device: Device, settings: Settings) -> LoadedCheckpoint:
    """Return the checkpoint as a pipeline on `device`; safetensors only, and never code from the checkpoint.

    Raises:
        CheckpointError: if files are missing or broken.
    """
    pipeline = load_plain(checkpoint, device, device.dtype, settings)
    family = family_of(checkpoint.pipeline)
    denoiser = family.denoiser(pipeline, device)
    pipeline.set_progress_bar_config(disable=True)
    knobs = knobs_of(settings)
    turn(pipeline, knobs)
    return LoadedCheckpoint(
        checkpoint.name,
        checkpoint.revision,
        family,
        pipeline,
        PromptEmbeddings(family.encoder(pipeline, device.torch, weights=settings.prompt_weights)),
        Schedulers(pipeline.scheduler.config),
        denoiser,
        knobs,
    )


def load_plain(checkpoint: LocalCheckpoint, device: Device, dtype: torch.dtype, settings: Settings) -> Any:
    """Return the checkpoint as a pipeline of diffusers on `device`, its weights in `dtype`; else as `load_checkpoint`.

    Raises:
        CheckpointError: if files are missing or broken.
    """
    try:
        family = family_of(checkpoint.pipeline)
        pipeline = family.read(checkpoint, dtype, settings)
        pipeline.to(device.torch)
    except CheckpointError as error:
        raise CheckpointError(f"checkpoint {checkpoint.name} cannot be loaded: {error}{remedy(checkpoint)}") from error
    except _UNUSABLE as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"checkpoint {checkpoint.name} cannot be loaded: {checkpoint.path}: {reason}{remedy(checkpoint)}"
        ) from error
    family.require_usable(checkpoint, pipeline, settings)
    return pipeline
