"""The LoRA that comes of a training, as a file's content: in diffusers' layout, and in kohya's, for other programs."""

import json
from collections.abc import Iterator, Mapping

import torch
from safetensors.torch import save
from torch import Tensor

from models.training.config import TrainingConfig
from worker.engine.training.adapters import Adapters

_KOHYA = {"unet": "lora_unet", "text_encoder": "lora_te"}
#: How PEFT calls a layer's two matrices, and kohya's scripts.
_ENDS = {".lora_A.weight": ".lora_down.weight", ".lora_B.weight": ".lora_up.weight"}
#: What diffusers looks for in a file's header: without it, alpha would be taken to be the rank.
_METADATA = "lora_adapter_metadata"
_PRIVATE = {"base_model_name_or_path"}


def diffusers_content(adapters: Adapters, about: Mapping[str, str]) -> bytes:
    """Return it in diffusers' layout; `about` goes into its header."""
    tensors = {f"{part}.{_usual(name)}": value for part, name, value in _all(adapters)}
    known = {
        f"{part}.{name}": value
        for part, config in adapters.configs.items()
        for name, value in config.to_dict().items()  # type: ignore[no-untyped-call]
        # Where the checkpoint lies on this disk is nobody else's business.
        if name not in _PRIVATE
    }
    # Diffusers loads layers in the mode of a training, in which they would leave values out of pictures, too.
    known |= {f"{part}.lora_dropout": 0.0 for part in adapters.configs}
    header = json.dumps(known, indent=2, sort_keys=True, default=_plain)
    return save(tensors, {"format": "pt", _METADATA: header, **about})


def kohya_content(adapters: Adapters, config: TrainingConfig, about: Mapping[str, str]) -> bytes:
    """Return it in kohya's layout, each layer with its alpha; `about` goes into its header."""
    tensors: dict[str, Tensor] = {}
    for part, name, value in _all(adapters):
        (end,) = (end for end in _ENDS if name.endswith(end))
        layer = f"{_KOHYA[part]}_{_usual(name).removesuffix(end).replace('.', '_')}"
        tensors[layer + _ENDS[end]] = value
        tensors[f"{layer}.alpha"] = torch.tensor(float(config.lora_alpha))
    header = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(config.lora_rank),
        "ss_network_alpha": str(float(config.lora_alpha)),
    }
    return save(tensors, {"format": "pt", **header, **about})


def _all(adapters: Adapters) -> Iterator[tuple[str, str, Tensor]]:
    for part, found in adapters.tensors().items():
        for name, value in found.items():
            yield part, name, value


def _usual(name: str) -> str:
    """Return a layer's name as files have it: transformers calls the text encoder's otherwise from its version 5 on."""
    return f"text_model.{name}" if name.startswith("encoder.") else name


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, set) else str(value)
