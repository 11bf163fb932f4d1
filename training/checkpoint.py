"""Putting the trained parts together as a folder that `StableDiffusionPipeline.from_pretrained` loads."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from models.checkpoints import DEFAULTS_FILE, CheckpointDefaults
from training.denoiser import GUIDANCE, noise_schedule
from training.drawing import SIZE

_STEPS = 12
_SCHEDULER = "DPM++ 2M"


def save_checkpoint(
    folder: Path,
    tokenizer: CLIPTokenizer,
    text_encoder: CLIPTextModel,
    autoencoder: AutoencoderKL,
    denoiser: UNet2DConditionModel,
) -> None:
    """Write the pipeline in float16, with the defaults that a job takes from it."""
    # Steps begin where noise is all there is; the offset is what diffusers wants to see in any Stable Diffusion.
    schedule = DPMSolverMultistepScheduler.from_config(
        noise_schedule().config, timestep_spacing="trailing", steps_offset=1
    )
    pipeline = StableDiffusionPipeline(
        autoencoder, text_encoder, tokenizer, denoiser, schedule, None, None, requires_safety_checker=False
    )
    pipeline.to(torch.float16).save_pretrained(folder)
    # transformers would load the text encoder as it is stored and diffusers the others as float32, and the two clash.
    config = folder / "text_encoder" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"dtype": "float32"}, indent=2) + "\n")
    defaults = CheckpointDefaults(width=SIZE, height=SIZE, steps=_STEPS, guidance=GUIDANCE, scheduler=_SCHEDULER)
    (folder / DEFAULTS_FILE).write_text(defaults.model_dump_json(indent=2) + "\n")
