"""A small StableDiffusionPipeline with random weights: the checkpoint `demo`, for trying out without a download."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

_SEED = 0
_TEXT_WIDTH = 32
_LATENT_CHANNELS = 4
#: Words of product photos, so that a usual prompt fits CLIP's 77 places as it does in Stable Diffusion.
_WORDS = """
a an and at background black blue boot boots brown canvas casual centered clean closed collection color colour
design detail details elegant green grey gray high top high-top image in isolated lace laces leather light lighting
loafer loafers low made man men minimalist modern navy new of on one only orange pair photo photography picture pink
plain product professional quality red rubber season shadow shoe shoes shot side simple sneaker sneakers soft sole
sport spring studio style suede summer autumn winter tan the toe view white with woman women yellow , . - ; : ! ?
"""


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
            _pipeline().save_pretrained(work / "checkpoint")
        (work / "checkpoint").chmod(0o755)
        os.replace(work / "checkpoint", folder)  # noqa: PTH105 - Path.replace cannot say that a folder moves
    finally:
        shutil.rmtree(work)


def _pipeline() -> StableDiffusionPipeline:
    tokenizer = _tokenizer()
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


def _tokenizer() -> CLIPTokenizer:
    """Return CLIP's tokenizer with a small vocabulary of its own: the words below are one token each."""
    plain = CLIPTokenizer(vocab=None, merges=None).backend_tokenizer
    model = Tokenizer(BPE(end_of_word_suffix="</w>"))
    model.normalizer, model.pre_tokenizer = plain.normalizer, plain.pre_tokenizer
    alphabet = ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=2_000,
        min_frequency=1,
        show_progress=False,
        # Every byte alone and at a word's end, so that any text in any script has tokens.
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
    )
    model.train_from_iterator([_WORDS], trainer)
    learned = json.loads(model.to_str())["model"]
    vocabulary = dict(learned["vocab"])
    for token in [*(f"{letter}</w>" for letter in sorted(alphabet)), "<|startoftext|>", "<|endoftext|>"]:
        vocabulary.setdefault(token, len(vocabulary))
    merges = [tuple(pair) for pair in learned["merges"]]
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)
