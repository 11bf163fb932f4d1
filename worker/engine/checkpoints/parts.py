"""The parts of a checkpoint in a folder: each is loaded by itself, and refused where not all of its tensors match.

transformers and diffusers fill what is missing with random numbers and say so in their logs alone.
"""

import importlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from models.checkpoints import INDEX_FILE
from models.types.errors import CheckpointError
from worker.engine.checkpoints.weights_files import read_header

SAFETY_CHECKER = "safety_checker"
_SHOWN = 3
#: Where diffusers keeps the safety checker, which an index says to be of the library `stable_diffusion`.
_MODULES = {"stable_diffusion": "diffusers.pipelines.stable_diffusion.safety_checker"}
#: Left in front of tensors' names by torch.compile, DataParallel and PEFT.
_WRAPPERS = ("_orig_mod.", "module.", "base_model.model.", "model.")
#: The numbers 0, 1, 2, …, which older files have and models make by themselves.
_CONSTANT = "position_ids"
_OF_ADAPTERS = ("base_layer.", "lora_A.", "lora_B.")


@dataclass(frozen=True)
class Difference:
    """Names of tensors that a part lacks, has too many, or has in another shape."""

    missing: Sequence[str] = field(default=())
    unexpected: Sequence[str] = field(default=())
    mismatched: Sequence[str] = field(default=())


def read_parts(folder: Path, dtype: torch.dtype, *, safety_checker: bool) -> dict[str, Any]:
    """Return the models of a checkpoint's folder by their names in its index, whole.

    Raises:
        CheckpointError: naming the part and some tensors, if not all of them match, or a file that is damaged.
    """
    index = json.loads((folder / INDEX_FILE).read_text())
    models = {name: _class(source) for name, source in index.items() if name != SAFETY_CHECKER or safety_checker}
    return {name: _read(folder, name, model, dtype) for name, model in models.items() if model is not None}


def require_no_difference(where: str, part: str, difference: Difference) -> None:
    """Refuse a part whose tensors do not all match.

    Raises:
        CheckpointError: saying where, which part, and what is wrong with some of its tensors.
    """
    said = list(_said(difference))
    if said:
        raise CheckpointError(f"{where}: its {part} {' and '.join(said)}; pictures would come of random numbers")


def _class(source: object) -> Any:
    """Return the class of a part that has weights, None for any other part."""
    if not isinstance(source, list) or len(source) != 2 or not all(isinstance(word, str) for word in source):
        return None
    library, name = source
    found = getattr(importlib.import_module(_MODULES.get(str(library), str(library))), name, None)
    return found if isinstance(found, type) and issubclass(found, torch.nn.Module) else None


def _read(folder: Path, part: str, model: Any, dtype: torch.dtype) -> Any:
    variant = _variant(folder / part, dtype)
    for file in (folder / part).glob("*.safetensors"):
        # Those that are read: a folder may have both forms.
        if (".fp16." in file.name) == (variant == "fp16"):
            read_header(file)
    options: dict[str, Any] = {"variant": variant, "use_safetensors": True, "local_files_only": True}
    if issubclass(model, PreTrainedModel):
        # It would raise without a name; what it reports instead is refused below.
        options |= {"dtype": dtype, "ignore_mismatched_sizes": True}
    else:
        options["torch_dtype"] = dtype
    try:
        loaded, found = model.from_pretrained(folder / part, output_loading_info=True, **options)
    except ValueError as error:
        # diffusers' word for a tensor of another shape, or for a part without files.
        raise CheckpointError(f"{folder}: its {part}: {' '.join(str(error).split())[:300]}") from error
    mismatched = [one if isinstance(one, str) else one[0] for one in found["mismatched_keys"]]
    unexpected = sorted(name for name in found["unexpected_keys"] if not name.endswith(_CONSTANT))
    difference = Difference(sorted(found["missing_keys"]), unexpected, sorted(mismatched))
    require_no_difference(str(folder), part, difference)
    return loaded


def _variant(part: Path, dtype: torch.dtype) -> str | None:
    """Return the variant whose files are here: fp16 for half precision, or for any if there is nothing else."""
    names = [file.name for file in part.glob("*.safetensors*")]
    half = any(".fp16." in name for name in names)
    full = any(".fp16." not in name for name in names)
    return "fp16" if half and (dtype is not torch.float32 or not full) else None


def _said(difference: Difference) -> Iterator[str]:
    if difference.missing:
        yield f"lacks {_some(difference.missing)}"
    if difference.unexpected:
        yield f"has {_some(difference.unexpected)} that belong to no part of it{_wrapped(difference.unexpected)}"
    if difference.mismatched:
        yield f"has {_some(difference.mismatched)} of another shape"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    if len(names) == 1:
        return f"the tensor {shown}"
    return f"{len(names):,} tensors, such as {shown}" if len(names) > _SHOWN else f"the tensors {shown}"


def _wrapped(names: Sequence[str]) -> str:
    if any(mark in name for name in names for mark in _OF_ADAPTERS):
        return " (a LoRA was saved in its place: merge it first)"
    found = next((start for start in _WRAPPERS if all(name.startswith(start) for name in names)), None)
    return f" (the program that saved it put {found} before their names: take that away)" if found else ""
