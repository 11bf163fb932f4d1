"""A checkpoint in one `.safetensors` file, with LDM's names: seen to be Stable Diffusion 1.5's before it is loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from transformers import CLIPTextConfig, CLIPTextModel

from models.types.errors import CheckpointError
from worker.engine.checkpoints.parts import Difference, require_no_difference
from worker.engine.checkpoints.weights_files import WeightsFile

_UNET, _VAE, _TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer."
_FIRST = f"{_UNET}input_blocks.0.0.weight"
#: Channels of the first layer, by what takes more than the latents.
_OTHER_MODELS = {9: "an inpainting model", 8: "an InstructPix2Pix model", 5: "a depth model"}
#: What such files carry besides, of their training.
_OF_THE_TRAINING = ("loss.", "model_ema.")
#: What a text encoder's file has that its model no longer keeps.
_UNUSED = ("position_ids", "text_projection.weight", "logit_scale")


def require_stable_diffusion(file: WeightsFile, unet: Mapping[str, Any]) -> None:
    """Refuse what is no checkpoint of Stable Diffusion 1.5's kind; `unet` is the config that is to describe its UNet.

    Raises:
        CheckpointError: naming the file and what it is.
    """
    names = list(file.shapes)

    def holds(*starts: str) -> bool:
        return any(name.startswith(starts) for name in names)

    what = None
    if any("lora_" in name or ".lora." in name or ".hada_" in name or ".lokr_" in name for name in names):
        what = "is a LoRA, which changes a checkpoint and is none by itself; name the checkpoint that it is for"
    elif holds("conditioner.", "text_encoder_2.", f"{_UNET}label_emb.", f"{_UNET}add_embedding."):
        what = "is an SDXL checkpoint; only those of Stable Diffusion 1.5 are loaded here"
    elif holds("cond_stage_model.model."):
        what = "is a Stable Diffusion 2 checkpoint; only those of Stable Diffusion 1.5 are loaded here"
    elif holds(f"{_UNET}joint_blocks.", f"{_UNET}double_blocks.", "double_blocks.", "transformer_blocks."):
        what = "is a FLUX or Stable Diffusion 3 checkpoint; only those of Stable Diffusion 1.5 are loaded here"
    elif holds("down_blocks.", "up_blocks.", "text_model.", "encoder.", "decoder.", "embeddings."):
        what = "is one part of a checkpoint, such as its UNet or its VAE; name the folder or file that has all"
    elif not holds(_UNET):
        what = "holds no UNet of Stable Diffusion; name another file"
    elif not holds(_VAE):
        what = "holds no VAE, without which no picture can be decoded; name a file that has one"
    elif not holds(_TEXT):
        what = "holds no text encoder; name a file that has one"
    elif "ztsnr" in names:
        what = "ends its noise without signal (ztsnr), for which there is no scheduler here; name another checkpoint"
    elif (shape := file.shapes.get(_FIRST, ())) and shape[1:2] != (unet["in_channels"],):
        what = f"is {_OTHER_MODELS.get(shape[1], 'another model')}, whose UNet takes {shape[1]} channels; name another"
    if what is not None:
        raise CheckpointError(f"{file.path} {what}")


def predicts_velocity(file: WeightsFile) -> bool:
    """Tell whether the model predicts v and not noise: by the key that such files carry, or by their metadata."""
    return "v_pred" in file.shapes or file.metadata.get("modelspec.prediction_type") == "v"


def require_all_tensors(file: WeightsFile, config: Path) -> None:
    """Refuse a file of which a tensor would not be used, or in which one is missing, for each part.

    diffusers' own converters are run on tensors without content, and held against the models that the configs in
    `config` describe, without content too.

    Raises:
        CheckpointError: naming file, part and some of the tensors.
    """
    with torch.device("meta"):
        models = {
            "unet": UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(config / "unet")),
            "vae": AutoencoderKL.from_config(AutoencoderKL.load_config(config / "vae")),
            "text_encoder": CLIPTextModel(CLIPTextConfig.from_pretrained(config / "text_encoder")),
        }
    tensors = {name: torch.empty(shape, device="meta") for name, shape in file.shapes.items()}
    converted = {
        "unet": convert_ldm_unet_checkpoint(dict(tensors), config=dict(models["unet"].config)),
        "vae": convert_ldm_vae_checkpoint(dict(tensors), config=dict(models["vae"].config)),
        "text_encoder": {
            _text_name(n): t for n, t in tensors.items() if n.startswith(_TEXT) and not n.endswith(_UNUSED)
        },
    }
    for part, start in (("unet", _UNET), ("vae", _VAE), ("text_encoder", _TEXT)):
        wanted = {_text_name(name): tuple(t.shape) for name, t in models[part].state_dict().items()}
        given = {_text_name(name): tuple(tensor.shape) for name, tensor in converted[part].items()}
        used = {id(tensor) for tensor in converted[part].values()}
        # The VAE's attention is given another shape on the way, so that it is no longer the same tensor.
        left = [
            name
            for name, tensor in tensors.items()
            if name.startswith(start) and id(tensor) not in used and ".attn_" not in name
            and not name.removeprefix(start).startswith(_OF_THE_TRAINING) and not name.endswith(_UNUSED)
        ]  # fmt: skip
        difference = Difference(
            missing=[name for name in wanted if name not in given and not name.endswith(_UNUSED)],
            unexpected=left + [name for name in given if name not in wanted],
            mismatched=[name for name in wanted if name in given and wanted[name] != given[name]],
        )
        require_no_difference(f"{file.path}", part, difference)


def _text_name(name: str) -> str:
    return name.removeprefix(_TEXT).removeprefix("text_model.")
