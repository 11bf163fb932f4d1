"""Stable Diffusion 1.5 and what is trained from it."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from torch import nn

from models.checkpoints import is_hub_id
from models.settings import Settings
from models.types.errors import CheckpointError
from models.types.job import JobSpec
from worker.engine.checkpoints.local_checkpoint import LocalCheckpoint, hub_snapshot, remedy
from worker.engine.checkpoints.parts import SAFETY_CHECKER, read_parts
from worker.engine.checkpoints.weights_files import read_header
from worker.engine.denoising import batch_invariance
from worker.engine.denoising.denoiser import Denoiser
from worker.engine.denoising.packed import can_pack, pack
from worker.engine.denoising.registry import forms_of
from worker.engine.devices.cpu import Cpu
from worker.engine.devices.device import Device
from worker.engine.families import clip_text
from worker.engine.families.family import Family
from worker.engine.families.single_file import predicts_velocity, require_all_tensors, require_stable_diffusion
from worker.engine.making.prompt_embeddings import EncodedText

#: CLIP's tokenizers know every byte; one that knows less was made up, because its files are missing.
_FEWEST_TOKENS = 256


class StableDiffusion(Family):
    """A UNet over latents of 8 pixels a side, one CLIP text encoder, and a safety checker where there is one."""

    def read(self, checkpoint: LocalCheckpoint, dtype: torch.dtype, settings: Settings) -> Any:
        """Read a folder in diffusers' layout, or a single file with LDM's names."""
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

    def denoiser(self, pipeline: Any, device: Device) -> Denoiser:
        """Make the UNet invariant, and have it work in all forms that may be faster on the device."""
        may_pack = device.kind == Cpu.kind and pipeline.unet.dtype == torch.float32 and can_pack()
        is_packed = may_pack and pack(pipeline.unet) > 0
        batch_invariance.make_invariant(pipeline.unet)
        return Denoiser(pipeline.unet, device, forms_of(device, is_packed=is_packed))

    def require_usable(self, checkpoint: LocalCheckpoint, pipeline: Any, settings: Settings) -> None:
        """Look at the UNet's channels, the tokenizer and the safety checker."""
        _require_channels(checkpoint, pipeline)
        _require_tokenizer(checkpoint, pipeline)
        if settings.safety_checker and pipeline.safety_checker is None:
            raise CheckpointError(
                f"NIGHTSHIFT_SAFETY_CHECKER is on, but checkpoint {checkpoint.name} brings no safety checker: "
                "take one that does, or turn it off"
            )

    def lora_parts(self, pipeline: Any) -> Mapping[str, nn.Module]:
        """The UNet and the text encoder."""
        return {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}

    def encoder(self, pipeline: Any, device: torch.device, *, weights: bool) -> Callable[[str], EncodedText]:
        """Encode with the one text encoder."""
        return partial(clip_text.encode, pipeline, device, weights)

    def most_together(self, spec: JobSpec, device: Device) -> int | None:
        """Any number, but on the CPU for a picture without guidance, which is not the same in company."""
        return 1 if device.kind == Cpu.kind and not spec.guided else None

    def denoise(
        self,
        pipeline: Any,
        texts: Sequence[tuple[EncodedText, EncodedText | None]],
        specs: Sequence[JobSpec],
        on_step: Callable[[int], None],
    ) -> torch.Tensor:
        """Return latents, one for each picture x 4 x height / 8 x width / 8."""
        one = specs[0]
        batch_invariance.expect(pipeline.unet, len(specs))
        latents: torch.Tensor = pipeline(
            prompt_embeds=torch.cat([prompt.embeddings for prompt, _ in texts]),
            negative_prompt_embeds=torch.cat([negative.embeddings for _, negative in texts if negative is not None])
            if one.guided
            else None,
            num_inference_steps=one.steps,
            guidance_scale=one.guidance,
            width=one.width,
            height=one.height,
            generator=[torch.Generator("cpu").manual_seed(spec.seed) for spec in specs],
            output_type="latent",
            return_dict=False,
            callback_on_step_end=_step_callback(on_step),
            callback_on_step_end_tensor_inputs=[],
        )[0]
        return latents

    def decode(self, pipeline: Any, latents: torch.Tensor) -> torch.Tensor:
        """Decode with the VAE as it is."""
        vae = pipeline.vae
        scaled = (latents / vae.config.scaling_factor).to(vae.dtype)
        image: torch.Tensor = vae.decode(scaled, return_dict=False)[0]
        return image

    def decode_in_float32(self, pipeline: Any, latents: torch.Tensor) -> torch.Tensor:
        """Decode with the VAE in float32, which is as it was after that."""
        usual = pipeline.vae.dtype
        try:
            pipeline.vae.to(torch.float32)
            return self.decode(pipeline, latents.float())
        finally:
            pipeline.vae.to(usual)

    def is_harmful(self, pipeline: Any, image: torch.Tensor, device: Device) -> bool | None:
        """Ask the safety checker, where there is one."""
        if pipeline.safety_checker is None:
            return None
        _, flagged = pipeline.run_safety_checker(image.clone(), device.torch, pipeline.vae.dtype)
        return bool(flagged and flagged[0])


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
            f"{remedy(checkpoint)}"
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


def _step_callback(on_step: Callable[[int], None]) -> Callable[..., dict[str, Any]]:
    def on_step_end(_pipeline: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        on_step(step + 1)
        return tensors

    return on_step_end
