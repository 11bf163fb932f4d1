"""A small StableDiffusionPipeline with random weights: the checkpoint `demo`, for trying out without a download."""

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
#: Words of product photos, so that a usual prompt fits CLIP's 77 places as it does in Stable Diffusion.
_WORDS = """
a an and at background black blue boot boots brown canvas casual centered clean closed collection color colour
design detail details elegant green grey gray high top  image in isolated lace laces leather light lighting
loafer loafers low made man men minimalist modern navy new of on one only orange pair photo photography picture pink
plain product professional quality red rubber season shadow shoe shoes shot side simple sneaker sneakers soft sole
sport spring studio style suede summer autumn winter tan the toe view white with woman women yellow
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
    """Return CLIP's tokenizer with a small vocabulary: most of `_WORDS` are one token, and any text has some."""
    letters = sorted(ByteLevel.alphabet())
    merges: dict[tuple[str, str], None] = {}
    # Long words first: what comes first is merged first, and a short word must not break a long one up.
    for word in sorted(_WORDS.split(), key=lambda word: (-len(word), word)):
        start = word[0]
        for end in [*word[1:-1], f"{word[-1]}</w>"]:
            merges[start, end] = None
            start += end
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges)]
    vocabulary = dict.fromkeys([*tokens, "<|startoftext|>", "<|endoftext|>"])
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate(vocabulary)}, merges=list(merges), model_max_length=77
    )
