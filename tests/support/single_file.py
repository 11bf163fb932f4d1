"""The demo as one `.safetensors` file, with the names of Stable Diffusion's first release (LDM) that such files have.

diffusers reads that layout and writes none, so this is the way back from its own reader
(`convert_ldm_unet_checkpoint`, `convert_ldm_vae_checkpoint` in `diffusers/loaders/single_file_utils.py`).
"""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

#: One residual block of the demo's UNet stands before each down- or upsampler.
_PER_BLOCK = 2
_DECODER_BLOCKS = 4

_UNET = (
    (r"^time_embedding\.linear_1", "time_embed.0"),
    (r"^time_embedding\.linear_2", "time_embed.2"),
    (r"^conv_in", "input_blocks.0.0"),
    (r"^conv_norm_out", "out.0"),
    (r"^conv_out", "out.2"),
    (r"^mid_block\.resnets\.0", "middle_block.0"),
    (r"^mid_block\.attentions\.0", "middle_block.1"),
    (r"^mid_block\.resnets\.1", "middle_block.2"),
)
_UNET_RESNET = (
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("time_emb_proj", "emb_layers.1"),
    ("conv_shortcut", "skip_connection"),
)
_VAE = (
    ("conv_norm_out", "norm_out"),
    ("mid_block.resnets.0", "mid.block_1"),
    ("mid_block.resnets.1", "mid.block_2"),
    ("mid_block.attentions.0", "mid.attn_1"),
    ("group_norm", "norm"),
    ("to_q", "q"),
    ("to_k", "k"),
    ("to_v", "v"),
    ("to_out.0", "proj_out"),
    ("conv_shortcut", "nin_shortcut"),
)


def write_single_file(demo: Path, file: Path) -> None:
    """Write the weights of the demo in folder `demo` to `file`."""
    unet = load_file(demo / "unet" / "diffusion_pytorch_model.safetensors")
    vae = load_file(demo / "vae" / "diffusion_pytorch_model.safetensors")
    text = load_file(demo / "text_encoder" / "model.safetensors")
    weights = {f"model.diffusion_model.{_unet_name(name, unet)}": value for name, value in unet.items()}
    for name, value in vae.items():
        # A 1x1 convolution there, a linear layer here.
        is_attention = ".attentions." in name and name.endswith("weight") and value.dim() == 2
        weights[f"first_stage_model.{_vae_name(name)}"] = value[:, :, None, None].clone() if is_attention else value
    for name, value in text.items():
        whole = name if name.startswith("text_model.") else f"text_model.{name}"
        weights[f"cond_stage_model.transformer.{whole}"] = value
    save_file(weights, file)


def _unet_name(name: str, unet: Mapping[str, torch.Tensor]) -> str:
    for ours, theirs in _UNET:
        name = re.sub(ours, theirs, name)
    if found := re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", name):
        side, block, kind, layer, rest = found.groups()
        if side == "down":
            number = 1 + int(block) * _PER_BLOCK + (int(layer) if kind != "downsamplers" else _PER_BLOCK - 1)
            place = {"resnets": "0", "attentions": "1", "downsamplers": "0"}[kind]
            name = f"input_blocks.{number}.{place}.{rest.replace('conv.', 'op.') if kind == 'downsamplers' else rest}"
        else:
            number = int(block) * _PER_BLOCK + (int(layer) if kind != "upsamplers" else _PER_BLOCK - 1)
            # The upsampler stands behind the attention of its layer, where that has one.
            has_attention = any(other.startswith(f"up_blocks.{block}.attentions.") for other in unet)
            place = {"resnets": "0", "attentions": "1", "upsamplers": "2" if has_attention else "1"}[kind]
            name = f"output_blocks.{number}.{place}.{rest}"
    if ".transformer_blocks." not in name:
        for ours, theirs in _UNET_RESNET:
            name = name.replace(ours, theirs)
    return name


def _vae_name(name: str) -> str:
    for ours, theirs in _VAE:
        name = name.replace(ours, theirs)
    name = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)

    def turned(found: re.Match[str]) -> str:
        # LDM counts a decoder's blocks from its end.
        return f"up.{_DECODER_BLOCKS - 1 - int(found[1])}.{'block' if found[2] == 'resnets' else 'upsample'}"

    return re.sub(r"up_blocks\.(\d+)\.(resnets|upsamplers\.0)", turned, name)
