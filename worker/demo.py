"""A small StableDiffusionPipeline with random weights: the checkpoint `demo`, for trying out without a download."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

_SEED = 0
_TEXT_WIDTH = 32
_LATENT_CHANNELS = 4


def build_demo_checkpoint(folder: Path) -> None:
    """Write the demo checkpoint to `folder` unless it is there; the same weights on every machine."""
    if (folder / "model_index.json").exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Built beside its place and moved there whole: a build that is cut short leaves nothing half made.
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".demo-"))
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            _pipeline(work).save_pretrained(work / "checkpoint")
        (work / "checkpoint").chmod(0o755)
        os.replace(work / "checkpoint", folder)  # noqa: PTH105 - Path.replace cannot say that a folder moves
    finally:
        shutil.rmtree(work)


def _pipeline(work: Path) -> StableDiffusionPipeline:
    tokenizer = _byte_tokenizer(work)
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=_TEXT_WIDTH,
            intermediate_size=2 * _TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=77,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=_LATENT_CHANNELS,
        out_channels=_LATENT_CHANNELS,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=_TEXT_WIDTH,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    vae = AutoencoderKL(
        latent_channels=_LATENT_CHANNELS,
        block_out_channels=(16, 16, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=8,
        sample_size=128,
    )
    scheduler = DPMSolverMultistepScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )
    return StableDiffusionPipeline(
        vae, text_encoder.eval(), tokenizer, unet, scheduler, None, None, requires_safety_checker=False
    )


def _byte_tokenizer(work: Path) -> CLIPTokenizer:
    """Return CLIP's tokenizer with a vocabulary of single bytes: no merges, so any text has tokens."""
    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (work / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (work / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(work, model_max_length=77)
