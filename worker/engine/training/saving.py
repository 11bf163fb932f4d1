"""The LoRA that comes of a training, as a file: in diffusers' layout, and in kohya's, which other programs read."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from models.training.config import TrainingConfig
from worker.engine.training.adapters import Adapters

_KOHYA = {"unet": "lora_unet", "text_encoder": "lora_te"}
#: How PEFT calls a layer's two matrices, and kohya's scripts.
_ENDS = {".lora_A.weight": ".lora_down.weight", ".lora_B.weight": ".lora_up.weight"}
#: What diffusers looks for in a file's header: without it, alpha would be taken to be the rank.
_METADATA = "lora_adapter_metadata"


def save_diffusers(adapters: Adapters, file: Path, about: Mapping[str, str]) -> None:
    """Write it in diffusers' layout; `about` goes into its header."""
    tensors = {f"{part}.{name}": value for part, found in adapters.tensors().items() for name, value in found.items()}
    known = {
        f"{part}.{name}": value
        for part, config in adapters.configs.items()
        for name, value in config.to_dict().items()  # type: ignore[no-untyped-call]
    }
    header = json.dumps(known, indent=2, sort_keys=True, default=_plain)
    save_file(tensors, file, {"format": "pt", _METADATA: header, **about})


def save_kohya(adapters: Adapters, config: TrainingConfig, file: Path, about: Mapping[str, str]) -> None:
    """Write it in kohya's layout, each layer with its alpha; `about` goes into its header."""
    tensors: dict[str, Tensor] = {}
    for part, found in adapters.tensors().items():
        for name, value in found.items():
            (end,) = (end for end in _ENDS if name.endswith(end))
            layer = f"{_KOHYA[part]}_{name.removesuffix(end).replace('.', '_')}"
            tensors[layer + _ENDS[end]] = value
            tensors[f"{layer}.alpha"] = torch.tensor(float(config.lora_alpha))
    header = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(config.lora_rank),
        "ss_network_alpha": str(float(config.lora_alpha)),
    }
    save_file(tensors, file, {"format": "pt", **header, **about})


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, set) else str(value)
