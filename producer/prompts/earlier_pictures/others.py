"""Pictures of ComfyUI, InvokeAI, NovelAI, SwarmUI and Fooocus: who made them, and with what, as sd-parsers reads it."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from sd_parsers import parsers as sd
from sd_parsers.data import PromptInfo
from sd_parsers.exceptions import ParserError

from models.types.schedulers import SCHEDULERS, canonical_name

_PARSERS: Mapping[str, Callable[[], Any]] = {
    "ComfyUI": sd.ComfyUIParser,
    "InvokeAI": sd.InvokeAIParser,
    "NovelAI": sd.NovelAIParser,
    "Fooocus": sd.FooocusParser,
}
#: What these programs call the samplers that there are here.
_SAMPLERS = {
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "euler_a": "Euler a",
    "heun": "Heun",
    "lms": "LMS",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_sde": "DPM++ SDE",
    "ddim": "DDIM",
    "pndm": "PNDM",
    "uni_pc": "UniPC",
    "unipc": "UniPC",
    "deis": "DEIS",
    "lcm": "LCM",
}
#: Schedules of ComfyUI and Fooocus that are the sampler's own.
_PLAIN = ("normal", "simple", "native", "default")
_SIZE = re.compile(r"\(?\s*+([0-9]{1,5})\s*+[,x]\s*+([0-9]{1,5})\s*+\)?")


def maker(texts: Mapping[str, Any]) -> str | None:
    """Return which of these programs made the picture that has such texts; None where none of them did."""
    written = str(texts.get("parameters", "")).lstrip()
    if "sui_image_params" in written[:200]:
        return "SwarmUI"
    if "fooocus_scheme" in texts or (written.startswith("{") and '"base_model"' in written):
        return "Fooocus"
    if any(name in texts for name in ("invokeai_metadata", "invokeai_graph", "sd-metadata", "Dream")):
        return "InvokeAI"
    if texts.get("Software") == "NovelAI" or ("Comment" in texts and "Source" in texts):
        return "NovelAI"
    if "workflow" in texts or "class_type" in str(texts.get("prompt", "")):
        return "ComfyUI"
    return None


def read_other(program: str, texts: Mapping[str, Any], size: tuple[int, int]) -> tuple[dict[str, object], list[str]]:
    """Return what the picture was made with, by the names of a job's fields and `model`, and what else is known of it.

    `size` is the picture's own, in pixels.

    Raises:
        ValueError: if it cannot be read, naming the program.
    """
    parser = _PARSERS.get(program)
    found: PromptInfo | None = None
    if parser is not None:
        # What it makes of a text that nobody foresaw is an error of any type.
        with suppress(ParserError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            found = parser().parse(dict(texts))
    if found is None or not found.samplers or not found.full_prompt.strip():
        raise ValueError(
            f"was made by {program}, and what it was made with cannot be read here; write its prompt into a file"
        )
    sampler = found.samplers[0]
    said = {name.lower(): value for name, value in sampler.parameters.items()}
    values: dict[str, object] = {"prompt": ", ".join(str(prompt) for prompt in sampler.prompts) or found.full_prompt}
    if negative := ", ".join(str(prompt) for prompt in sampler.negative_prompts):
        values["negative_prompt"] = negative
    for field, names in (("steps", ("steps",)), ("guidance", ("cfg_scale",)), ("seed", ("seed", "noise_seed"))):
        value = next((said[name] for name in names if said.get(name) is not None), found.metadata.get(field))
        if isinstance(value, (int, float, str)):
            values[field] = str(value).removesuffix(".0")
    values["width"], values["height"] = _size(found, size)
    name, left = _scheduler(sampler.name, str(said.get("scheduler", "")))
    values["scheduler"] = name
    if sampler.model is not None:
        values["model"] = str(sampler.model).replace("\\", "/").rpartition("/")[2].removesuffix(".safetensors")
    left += ["a LoRA"] if "lora" in json.dumps(found.metadata, default=str).lower() else []
    left += [f"{len(found.samplers)} samplers"] if len(found.samplers) > 1 else []
    return values, [*left, f"the noise of {program}"]


def _size(found: PromptInfo, own: tuple[int, int]) -> tuple[int, int]:
    """Return the size that was asked for; the picture's own where that is not said, or it was enlarged."""
    asked = next((one[0] for name, one in found.metadata.items() if "LatentImage" in str(name) and one), found.metadata)
    for width, height in (
        (asked.get("width"), asked.get("height")),
        (found.metadata.get("W"), found.metadata.get("H")),
    ):
        if isinstance(width, int) and isinstance(height, int):
            return width, height
    if (written := _SIZE.fullmatch(str(found.metadata.get("resolution", "")))) is not None:
        return int(written[1]), int(written[2])
    return own


def _scheduler(sampler: str, schedule: str) -> tuple[str, list[str]]:
    """Return the name of the scheduler here, and what of its schedule there is not."""
    plain = sampler.lower().removeprefix("k_").removesuffix("_gpu")
    karras = schedule.lower() == "karras" or plain.endswith("_k")
    name = _SAMPLERS.get(plain.removesuffix("_k"))
    if name is None:
        with suppress(ValueError):
            return canonical_name(sampler), []
        return sampler, []
    if karras and f"{name} Karras" in SCHEDULERS:
        return f"{name} Karras", []
    other = schedule and schedule.lower() not in _PLAIN and schedule.lower() not in _SAMPLERS
    return name, [f"the schedule {schedule}"] if other else []
