"""Bringing a checkpoint's weights to the device."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from diffusers.loaders.single_file_utils import SingleFileComponentError
from safetensors import SafetensorError

from models.checkpoints import is_hub_id
from models.errors import CheckpointError
from models.settings import Settings
from worker.devices.device import Device
from worker.local_checkpoint import LocalCheckpoint, hub_snapshot
from worker.prompt_embeddings import PromptEmbeddings
from worker.schedulers import Schedulers

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


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A pipeline on the device."""

    name: str
    revision: str
    pipeline: Any
    prompt_embeddings: PromptEmbeddings
    #: Over the checkpoint's own noise schedule.
    schedulers: Schedulers


def load_checkpoint(checkpoint: LocalCheckpoint, device: Device, settings: Settings) -> LoadedCheckpoint:
    """Return the checkpoint as a pipeline on `device`; safetensors only, and never code from the checkpoint.

    Raises:
        CheckpointError: if files are missing or broken.
    """
    try:
        pipeline = _read(checkpoint, device.dtype, settings)
        pipeline.to(device.torch)
    except _UNUSABLE as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"checkpoint {checkpoint.name} at {checkpoint.path} cannot be loaded: {reason}. If it is incomplete, "
            "`producer download` fetches what is missing"
        ) from error
    _require_tokenizer(checkpoint, pipeline)
    if settings.safety_checker and pipeline.safety_checker is None:
        raise CheckpointError(
            f"NIGHTSHIFT_SAFETY_CHECKER is on, but checkpoint {checkpoint.name} brings no safety checker: "
            "take one that does, or turn it off"
        )
    pipeline.set_progress_bar_config(disable=True)
    if settings.attention_slicing:
        pipeline.enable_attention_slicing()
    return LoadedCheckpoint(
        checkpoint.name,
        checkpoint.revision,
        pipeline,
        PromptEmbeddings(pipeline, device.torch),
        Schedulers(pipeline.scheduler.config),
    )


def _read(checkpoint: LocalCheckpoint, dtype: torch.dtype, settings: Settings) -> Any:
    # Without a safety checker its weights are not read at all, which saves some 200 MB.
    options: dict[str, Any] = {} if settings.safety_checker else {"safety_checker": None, "feature_extractor": None}
    options |= {"dtype": dtype, "local_files_only": True, "requires_safety_checker": settings.safety_checker}
    if not checkpoint.is_single_file:
        return StableDiffusionPipeline.from_pretrained(
            checkpoint.path, variant=_variant(checkpoint.path, dtype), use_safetensors=True, **options
        )
    options.pop("requires_safety_checker")
    return StableDiffusionPipeline.from_single_file(
        str(checkpoint.path), config=str(_config_folder(settings.single_file_config)), **options
    )


def _require_tokenizer(checkpoint: LocalCheckpoint, pipeline: Any) -> None:
    """Refuse a tokenizer without its files: transformers makes one up that takes every prompt for the same."""
    tokenizer, places = pipeline.tokenizer, pipeline.text_encoder.config.max_position_embeddings
    if len(tokenizer) < _FEWEST_TOKENS or tokenizer.model_max_length > places:
        raise CheckpointError(
            f"checkpoint {checkpoint.name} at {checkpoint.path} cannot be loaded: its tokenizer is incomplete. "
            "`producer download` fetches what is missing"
        )


def _variant(folder: Path, dtype: torch.dtype) -> str | None:
    """Return the variant whose files are here: fp16 for half precision, or for any if there is nothing else."""
    unet = folder / "unet"
    half = (unet / "diffusion_pytorch_model.fp16.safetensors").exists()
    full = (unet / "diffusion_pytorch_model.safetensors").exists()
    return "fp16" if half and (dtype is not torch.float32 or not full) else None


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
