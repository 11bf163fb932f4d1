"""A checkpoint of Stable Diffusion 1.5's architecture with random weights, for its size and speed and not for pictures.

`python -m benchmarks.random_weights FOLDER` writes it.
"""

import argparse
from pathlib import Path

from models.checkpoints import DEMO_FOLDER


def make_stable_diffusion(folder: Path, *, half: bool = False) -> None:
    """Write it (configs as on the hub): 4.3 GB in float32, or half of that."""
    import torch
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    blocks = 4
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        pipeline = StableDiffusionPipeline(
            # What it is called with otherwise are the defaults, which were made for this architecture.
            unet=UNet2DConditionModel(sample_size=64, cross_attention_dim=768),
            vae=AutoencoderKL(
                block_out_channels=(128, 256, 512, 512),
                down_block_types=("DownEncoderBlock2D",) * blocks,
                up_block_types=("UpDecoderBlock2D",) * blocks,
                layers_per_block=2,
                sample_size=512,
            ),
            text_encoder=CLIPTextModel(
                CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
            ),
            tokenizer=CLIPTokenizer.from_pretrained(DEMO_FOLDER / "tokenizer"),
            scheduler=PNDMScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                steps_offset=1,
                skip_prk_steps=True,
                set_alpha_to_one=False,
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    if half:
        pipeline.to(torch.float16)
    pipeline.save_pretrained(folder)


if __name__ == "__main__":
    _parser = argparse.ArgumentParser(description=__doc__)
    _parser.add_argument("folder", type=Path)
    _parser.add_argument("--half", action="store_true", help="in half precision")
    _asked = _parser.parse_args()
    make_stable_diffusion(_asked.folder, half=_asked.half)
