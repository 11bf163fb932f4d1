"""LoRAs for tests: random ones for the demo, in the layouts that people have, and what each adds to a weight."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

#: Layers of the demo that a LoRA of attention changes, and convolutions, as LoCon does.
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "q_proj", "v_proj")
CONVOLUTIONS = ("conv1", "conv_shortcut", "proj_in")


@dataclass(frozen=True)
class Layer:
    """What a LoRA has for one layer of a part."""

    part: str
    name: str
    down: Tensor
    up: Tensor
    alpha: float

    @property
    def rank(self) -> int:
        return len(self.down)

    def delta(self, scale: float = 1.0) -> Tensor:
        """What it adds to the weight; for a convolution by the sum over its rank, kernel by kernel."""
        equation = "or,ri->oi" if self.down.dim() == 2 else "orxy,rikl->oikl"
        return scale * self.alpha / self.rank * torch.einsum(equation, self.up.double(), self.down.double())


def random_layers(
    pipeline: Any,
    seed: int = 1,
    names: tuple[str, ...] = ATTENTION,
    alphas: Sequence[float] = (16.0,),
    rank: int = 8,
    size: float = 0.05,
    parts: Sequence[str] = ("unet", "text_encoder"),
) -> list[Layer]:
    """Return layers for a pipeline, which take the alphas in turn."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[Layer] = []
    for part in parts:
        for name, module in getattr(pipeline, part).named_modules():
            if not name.endswith(names) or not isinstance(module, nn.Linear | nn.Conv2d):
                continue
            out, *rest = module.weight.shape
            up = torch.randn(out, rank, *[1] * (len(rest) - 1), generator=generator) * size
            down = torch.randn(rank, *rest, generator=generator) * size
            layers.append(Layer(part, name, down, up, alphas[len(layers) % len(alphas)]))
    return layers


def kohya(layers: Sequence[Layer], text_model: str = "text_model_") -> dict[str, Tensor]:
    """Return tensors as kohya's scripts name them."""
    tensors: dict[str, Tensor] = {}
    for layer in layers:
        prefix = "lora_unet_" if layer.part == "unet" else f"lora_te_{text_model}"
        name = prefix + layer.name.replace(".", "_")
        tensors[f"{name}.lora_down.weight"], tensors[f"{name}.lora_up.weight"] = layer.down, layer.up
        tensors[f"{name}.alpha"] = torch.tensor(layer.alpha)
    return tensors


def diffusers(
    layers: Sequence[Layer], down: str = "lora_A", up: str = "lora_B"
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors as diffusers names them, and the header in which peft's configuration stands."""
    tensors: dict[str, Tensor] = {}
    said: dict[str, Any] = {}
    for layer in layers:
        tensors[f"{layer.part}.{layer.name}.{down}.weight"] = layer.down
        tensors[f"{layer.part}.{layer.name}.{up}.weight"] = layer.up
        said |= {f"{layer.part}.r": layer.rank, f"{layer.part}.lora_alpha": layers[0].alpha}
        if layer.alpha != layers[0].alpha:
            said.setdefault(f"{layer.part}.alpha_pattern", {})[layer.name] = layer.alpha
    return tensors, {"lora_adapter_metadata": json.dumps(said)}


def processors(layers: Sequence[Layer]) -> dict[str, Tensor]:
    """Return tensors as diffusers named them at first, with kohya's alphas."""
    tensors: dict[str, Tensor] = {}
    for layer in layers:
        place, _, last = layer.name.removesuffix(".0").rpartition(".")
        name = f"{layer.part}.{place}.processor.{last}_lora"
        tensors |= {f"{name}.down.weight": layer.down, f"{name}.up.weight": layer.up}
        tensors[f"{layer.part}.{layer.name}.alpha"] = torch.tensor(layer.alpha)
    return tensors


def save(tensors: dict[str, Tensor], file: Path, metadata: dict[str, str] | None = None) -> Path:
    """Write a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file, metadata)
    return file


def weights_of(pipeline: Any) -> dict[str, Tensor]:
    """Return all weights that a LoRA may change, by part and name."""
    return {
        f"{part}.{name}": value.clone()
        for part in ("unet", "text_encoder")
        for name, value in getattr(pipeline, part).state_dict().items()
    }


def digest(pipeline: Any) -> str:
    """Return what is another where any of them is."""
    found = hashlib.sha256()
    for value in weights_of(pipeline).values():
        found.update(value.numpy().tobytes())
    return found.hexdigest()
