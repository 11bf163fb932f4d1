"""What the tensors of a LoRA's file are: which layer each changes, and how much each layer counts.

Layouts: diffusers' with `lora_A` and `lora_B`, its older ones, and kohya's, each for linear layers and convolutions
(LoCon). Others are refused by their name, and so is whatever is not known whole: a library that leaves out what it does
not know makes other pictures without a word.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.types.errors import LoraError
from worker.engine.denoising.packed import weight_of
from worker.engine.loras.file import LoraFile

#: Marks of layouts that are not understood, and what they are called.
_OTHERS = {
    "hada_": "a LoHa",
    "lokr_": "a LoKr",
    "dora_scale": "a DoRA",
    "lora_magnitude_vector": "a DoRA",
    "lora_mid": "a LoCon with a middle part",
    "oft_": "an OFT",
    "boft_": "a BOFT",
    ".diff": "one of whole weights",
    "lora_te2_": "one of SDXL",
    "text_encoder_2.": "one of SDXL",
    "transformer.": "one of another family, such as Flux or Stable Diffusion 3",
}
_DOWN, _UP, _ALPHA = "down", "up", "alpha"
#: How names end, and what such a tensor is.
_ENDS = {
    ".lora_A.weight": _DOWN,
    ".lora.down.weight": _DOWN,
    ".lora_linear_layer.down.weight": _DOWN,
    ".lora_down.weight": _DOWN,
    ".lora_B.weight": _UP,
    ".lora.up.weight": _UP,
    ".lora_linear_layer.up.weight": _UP,
    ".lora_up.weight": _UP,
    ".alpha": _ALPHA,
}
#: Diffusers' oldest: `…attn1.processor.to_q_lora.down.weight`.
_PROCESSOR = re.compile(r"\.processor\.(to_\w+)_lora\.(down|up)\.weight$")
#: Layers that those have without the number of their place.
_NUMBERED = {"to_out": "to_out.0"}
_KOHYA = {"lora_unet_": "unet", "lora_te_": "text_encoder", "lora_te1_": "text_encoder"}
_METADATA = "lora_adapter_metadata"
_NAME = re.compile(r"[\w.]+")


@dataclass(frozen=True)
class Change:
    """What a LoRA adds to a layer's weight, at scale 1: `factor * up @ down`, where `factor` is alpha / rank."""

    down: Tensor
    up: Tensor
    factor: float

    def delta(self, like: Tensor) -> Tensor:
        """Return it in float32, on the weight's device and in its shape.

        For a convolution `down` has its kernel and `up` a kernel of 1x1: Conv(up) after Conv(down) is one convolution.
        """
        down, up = (each.to(like.device, torch.float32) for each in (self.down, self.up))
        return (up.flatten(1) @ down.flatten(1)).mul_(self.factor).reshape(like.shape)


def changes(file: LoraFile, parts: Mapping[str, nn.Module]) -> dict[nn.Module, Change]:
    """Return what a file changes of a pipeline's `parts`, by layer.

    Raises:
        LoraError: naming the file, and what of it cannot be used.
    """
    try:
        return _changes(file, parts)
    except _RefusedError as refused:
        raise LoraError(f"LoRA {file.path} cannot be used: {refused}") from None


class _RefusedError(Exception):
    """What cannot be used of a file."""


def _changes(file: LoraFile, parts: Mapping[str, nn.Module]) -> dict[nn.Module, Change]:
    for name in file.tensors:
        if kind := next((kind for mark, kind in _OTHERS.items() if mark in name), None):
            raise _RefusedError(f"it is {kind} ({name}), which is not supported")
    layers = _Layers(parts)
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in file.tensors.items():
        layer, what = layers.find(name)
        if what in found.setdefault(layer, {}):
            raise _RefusedError(f"{name} stands in it twice, in two layouts")
        # Numbers of eight bits have no such test of their own.
        if not torch.isfinite(tensor.float()).all():
            raise _RefusedError(f"{name} holds NaN or infinity")
        found[layer][what] = tensor
    if not found:
        raise _RefusedError("it holds no layer")
    alphas = _alphas(file)
    return {layers.module(layer): _change(layer, tensors, layers, alphas, file) for layer, tensors in found.items()}


def _change(
    layer: str, tensors: Mapping[str, Tensor], layers: "_Layers", alphas: "_Alphas | None", file: LoraFile
) -> Change:
    if lacking := [what for what in (_DOWN, _UP) if what not in tensors]:
        raise _RefusedError(f"{layer} has no {lacking[0]} tensor; the file is incomplete")
    down, up, weight = tensors[_DOWN], tensors[_UP], weight_of(layers.module(layer))
    if not _fit(down, up, weight):
        raise _RefusedError(
            f"{layer} has {tuple(weight.shape)} weights, and {tuple(up.shape)}, {tuple(down.shape)} do not fit: it "
            "is for another family or checkpoint"
        )
    rank = down.shape[0]
    if _ALPHA in tensors:
        if tensors[_ALPHA].numel() != 1:
            raise _RefusedError(f"the alpha of {layer} is no single number")
        return Change(down, up, float(tensors[_ALPHA]) / rank)
    if alphas is None:
        raise _RefusedError(
            f"it does not say its alpha. Scripts of diffusers train with the rank, {rank}: if this one did, write "
            f'{{"lora_alpha": {rank}}} to {file.path.with_suffix(".json")}'
        )
    return Change(down, up, alphas.factor(layer, rank))


def _fit(down: Tensor, up: Tensor, weight: Tensor) -> bool:
    """Tell whether two tensors are of one rank and make a change of the weight's shape."""
    if min(down.dim(), up.dim()) < 2 or not down.numel():
        return False
    rank, out = len(down), len(up)
    return (
        up.numel() == out * rank == out * up.shape[1]
        and out == len(weight)
        and (out * down[0].numel() == weight.numel())
    )


class _Layers:
    """The layers of a pipeline's parts, by the names that files have for them."""

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        self._modules: dict[str, nn.Module] = {}
        self._kohya: dict[str, str] = {}
        prefixes = {part: prefix for prefix, part in reversed(_KOHYA.items())}
        for part, root in parts.items():
            for name, module in root.named_modules():
                if isinstance(module, nn.Linear | nn.Conv2d):
                    self._modules[f"{part}.{name}"] = module
                    self._kohya[prefixes[part] + name.replace(".", "_")] = f"{part}.{name}"

    def module(self, layer: str) -> nn.Module:
        """Return the layer of a name that `find` gave."""
        return self._modules[layer]

    def find(self, name: str) -> tuple[str, str]:
        """Return which layer a tensor belongs to, and what of it it is."""
        if found := _PROCESSOR.search(name):
            layer, what = f"{name[: found.start()]}.{found[1]}", found[2]
            place, _, last = layer.rpartition(".")
            layer = f"{place}.{_NUMBERED.get(last, last)}"
        else:
            end = next((end for end in _ENDS if name.endswith(end)), None)
            if end is None:
                raise _RefusedError(f"{name} is of no layout that is known here")
            layer, what = name.removesuffix(end), _ENDS[end]
        for candidate in self._spellings(layer):
            if candidate in self._modules:
                return candidate, what
        raise _RefusedError(f"{name} is of no layer that the checkpoint has; it is for another family or checkpoint")

    def _spellings(self, layer: str) -> Iterator[str]:
        """Yield how a layer may be called here; newer text encoders have no `text_model` around them."""
        for spelt in (layer, layer.replace(".text_model.", ".", 1)):
            yield spelt
        for prefix, part in _KOHYA.items():
            if layer.startswith(prefix):
                usual = next(usual for usual, of in _KOHYA.items() if of == part)
                rest = layer.removeprefix(prefix)
                for spelt in (rest, rest.removeprefix("text_model_")):
                    yield self._kohya.get(usual + spelt, "")


class _Alphas:
    """What a header, or a file beside, says of alpha; as peft's configuration has it."""

    def __init__(self, by_part: Mapping[str, Mapping[str, object]]) -> None:
        self._by_part = by_part

    def factor(self, layer: str, rank: int) -> float:
        """Return alpha / rank of a layer."""
        part, _, name = layer.partition(".")
        said = self._by_part.get(part)
        if said is None:
            raise _RefusedError(f"it does not say its alpha for the {part}")
        alpha = said.get("lora_alpha")
        patterns = said.get("alpha_pattern") or {}
        for pattern, value in patterns.items() if isinstance(patterns, Mapping) else ():
            # peft takes it for a regular expression, which would run for as long as the file's maker likes.
            end = str(pattern).removeprefix("^").removesuffix("$")
            if not _NAME.fullmatch(end):
                raise _RefusedError(f"its alpha_pattern {str(pattern)[:80]!r} is no name of a layer")
            if f".{name}".endswith(f".{end}"):
                alpha = value
                break
        if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not math.isfinite(alpha):
            raise _RefusedError(f"its lora_alpha is {alpha!r}, which is no number")
        return alpha / (math.sqrt(rank) if said.get("use_rslora") else rank)


def _alphas(file: LoraFile) -> "_Alphas | None":
    """Return what the header says, else a file beside; None where nothing says anything of alpha."""
    if _METADATA in file.metadata:
        by_part: dict[str, dict[str, object]] = {}
        for key, value in _read(_METADATA, file.metadata[_METADATA]).items():
            part, _, name = key.partition(".")
            by_part.setdefault(part, {})[name] = value
        return _Alphas(by_part)
    for beside in (file.path.with_suffix(".json"), file.path.with_name("adapter_config.json")):
        if beside.is_file():
            said = _read(beside.name, beside.read_text(errors="replace"))
            if "lora_alpha" in said:
                return _Alphas(dict.fromkeys(_KOHYA.values(), said))
    return None


def _read(name: str, text: str) -> dict[str, object]:
    try:
        said = json.loads(text)
    except ValueError as error:
        raise _RefusedError(f"its {name} cannot be read ({error})") from None
    if not isinstance(said, dict):
        raise _RefusedError(f"its {name} is no JSON object")
    if any(key.rpartition(".")[2] == "use_dora" and value for key, value in said.items()):
        raise _RefusedError("it is a DoRA, which is not supported")
    return said
