"""Bringing a checkpoint's weights to the device."""

import json
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import StableDiffusionPipeline
from diffusers.loaders.single_file_utils import SingleFileComponentError
from safetensors import SafetensorError

from models.checkpoints import is_hub_id
from models.settings import Settings
from models.types.errors import CheckpointError
from models.types.identity import Knobs
from models.types.schedulers import SCHEDULERS
from worker.engine.devices.device import Device
from worker.engine.local_checkpoint import LocalCheckpoint, hub_snapshot
from worker.engine.parts import SAFETY_CHECKER, read_parts
from worker.engine.prompt_embeddings import PromptEmbeddings
from worker.engine.single_file import predicts_velocity, require_all_tensors, require_stable_diffusion
from worker.engine.tuning import knobs_of, turn
from worker.engine.weights_files import read_header

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
#: CLIP's tokenizers know every byte; one that knows less was made up, because its files are missing.
_FEWEST_TOKENS = 256


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
    pipeline: Any
    prompt_embeddings: PromptEmbeddings
    #: Over the checkpoint's own noise schedule.
    schedulers: Schedulers
    knobs: Knobs


def load_checkpoint(checkpoint: LocalCheckpoint, device: Device, settings: Settings) -> LoadedCheckpoint:
    """Return the checkpoint as a pipeline on `device`; safetensors only, and never code from the checkpoint.

    Raises:
        CheckpointError: if files are missing or broken.
    """
    try:
        pipeline = _read(checkpoint, device.dtype, settings)
        pipeline.to(device.torch)
    except CheckpointError as error:
        raise CheckpointError(f"checkpoint {checkpoint.name} cannot be loaded: {error}{_remedy(checkpoint)}") from error
    except _UNUSABLE as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"checkpoint {checkpoint.name} cannot be loaded: {checkpoint.path}: {reason}{_remedy(checkpoint)}"
        ) from error
    _require_channels(checkpoint, pipeline)
    _require_tokenizer(checkpoint, pipeline)
    if settings.safety_checker and pipeline.safety_checker is None:
        raise CheckpointError(
            f"NIGHTSHIFT_SAFETY_CHECKER is on, but checkpoint {checkpoint.name} brings no safety checker: "
            "take one that does, or turn it off"
        )
    pipeline.set_progress_bar_config(disable=True)
    knobs = knobs_of(settings)
    turn(pipeline, knobs)
    return LoadedCheckpoint(
        checkpoint.name,
        checkpoint.revision,
        pipeline,
        PromptEmbeddings(pipeline, device.torch, weights=settings.prompt_weights),
        Schedulers(pipeline.scheduler.config),
        knobs,
    )


def _remedy(checkpoint: LocalCheckpoint) -> str:
    """Say what fetches the files anew, where something does."""
    return f". `producer download {checkpoint.name}` fetches what is missing" if is_hub_id(checkpoint.name) else ""


def _read(checkpoint: LocalCheckpoint, dtype: torch.dtype, settings: Settings) -> Any:
    # Without a safety checker its weights are not read at all, which saves some 200 MB.
    options: dict[str, Any] = {} if settings.safety_checker else {SAFETY_CHECKER: None, "feature_extractor": None}
    options |= {"dtype": dtype, "local_files_only": True}
    if not checkpoint.is_single_file:
        options |= read_parts(checkpoint.path, dtype, safety_checker=settings.safety_checker)
        return StableDiffusionPipeline.from_pretrained(
            checkpoint.path, requires_safety_checker=settings.safety_checker, use_safetensors=True, **options
        )
    file, config = read_header(checkpoint.path), _config_folder(settings.single_file_config)
    require_stable_diffusion(file, json.loads((config / "unet" / "config.json").read_text()))
    require_all_tensors(file, config)
    pipeline = StableDiffusionPipeline.from_single_file(str(checkpoint.path), config=str(config), **options)
    if predicts_velocity(file):
        pipeline.scheduler.register_to_config(prediction_type="v_prediction")
    return pipeline


def _require_channels(checkpoint: LocalCheckpoint, pipeline: Any) -> None:
    """Refuse a UNet that takes more than latents, and so would fail with each job."""
    takes, latents = pipeline.unet.config.in_channels, pipeline.vae.config.latent_channels
    if takes != latents:
        raise CheckpointError(
            f"checkpoint {checkpoint.name} cannot be loaded: the UNet of {checkpoint.path} takes {takes} channels "
            f"where latents have {latents}, as one for inpainting does; name another"
        )


def _require_tokenizer(checkpoint: LocalCheckpoint, pipeline: Any) -> None:
    """Refuse a tokenizer without its files: transformers makes one up that takes every prompt for the same."""
    tokenizer, places = pipeline.tokenizer, pipeline.text_encoder.config.max_position_embeddings
    if len(tokenizer) < _FEWEST_TOKENS or tokenizer.model_max_length > places:
        raise CheckpointError(
            f"checkpoint {checkpoint.name} cannot be loaded: {checkpoint.path}: its tokenizer is incomplete"
            f"{_remedy(checkpoint)}"
        )


def _config_folder(name: str) -> Path:
    """Return the folder whose configs describe a single file: diffusers cannot tell all of it from the weights."""
    if not is_hub_id(name):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise CheckpointError(
                f"NIGHTSHIFT_SINGLE_FILE_CONFIG={name}: there is no such folder; name one, or a hub id, whose configs "
                "describe the .safetensors file"
            )
        return folder
    try:
        return hub_snapshot(name)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"a single .safetensors file needs the configs of {name}, which are not on this machine: "
            f"`producer download {name}` fetches them, or NIGHTSHIFT_SINGLE_FILE_CONFIG names a folder that has them"
        ) from error
