"""A1111's `parameters`: prompt, negative prompt, and a line of settings."""

import json
import re
from collections.abc import Iterator, Mapping

#: A value in quotes, which may hold commas and colons. Possessive, so that no text is gone through twice.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"')
_NAME = re.compile(r"[\w ]+")
#: A1111 takes the last line for settings from so many pairs on.
_LEAST_PAIRS = 3
_NEGATIVE = "Negative prompt: "
#: The extension for dynamic prompts writes its templates behind the settings.
_TEMPLATES = ("Template:", "Negative Template:")
#: What a job can say, by A1111's names.
_FIELDS = {"Steps": "steps", "CFG scale": "guidance", "Seed": "seed"}
#: What changes nothing of a picture, or is read apart.
_READ = {*_FIELDS, "Sampler", "Schedule type", "Size", "Model", "Model hash", "Lora hashes", "Version", "RNG"}
#: What our own pictures say beside that, and what no other may need.
_READ |= {"LoRAs", "Preset", "Pictures a call", "Denoiser"}
#: What A1111 takes for `Automatic` (modules/sd_samplers_kdiffusion.py), where that is not the plain one.
_AUTOMATIC = {"DPM++ 2M": "Karras", "DPM++ SDE": "Karras"}
#: Of a schedule that no scheduler here has, the sampler's own is taken, and that is said.
_PLAIN, _HERE = ("Automatic", "Uniform"), ("Karras",)


def parse_parameters(text: str) -> tuple[dict[str, object], list[str]]:
    """Return what `parameters` says, by the names of a job's fields and `model`, and the names of what else it says.

    Raises:
        ValueError: if it holds no line of settings.
    """
    lines = text.rstrip("\n").split("\n")
    *lines, last = lines[: _end_of_settings(lines)]
    pairs = dict(_pairs(last))
    if len(pairs) < _LEAST_PAIRS:
        raise ValueError("its parameters end with no line of settings such as `Steps: 25, Sampler: Euler, Seed: 1`")
    start = next((number for number, line in enumerate(lines) if line.startswith(_NEGATIVE)), len(lines))
    values: dict[str, object] = {"prompt": "\n".join(lines[:start])}
    negative = "\n".join(lines[start:]).removeprefix(_NEGATIVE)
    if negative:
        values["negative_prompt"] = negative
    values |= {field: pairs[name] for name, field in _FIELDS.items() if name in pairs}
    if "LoRAs" in pairs:
        values["lora"] = pairs["LoRAs"]
    if "Size" in pairs:
        values["width"], _, values["height"] = pairs["Size"].partition("x")
    left = [name for name in pairs if name not in _READ] + (["a GPU's noise"] if _gpu_noise(pairs) else [])
    if "Sampler" in pairs:
        kind = _schedule(pairs)
        values["scheduler"] = pairs["Sampler"] + (f" {kind}" if kind in _HERE else "")
        left += [f"Schedule type {kind}"] if kind not in (*_HERE, *_PLAIN) else []
    if "Model" in pairs:
        values["model"] = pairs["Model"]
    return values, left


def _end_of_settings(lines: list[str]) -> int:
    """Return where the templates behind the settings begin, or the number of lines."""
    for number, line in enumerate(lines[1:], 1):
        if line.startswith(_TEMPLATES) and len(dict(_pairs(lines[number - 1]))) >= _LEAST_PAIRS:
            return number
    return len(lines)


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    """Yield each `name: value`; a value with a comma, a colon or a newline is JSON-quoted."""
    place = 0
    while (colon := line.find(":", place)) >= 0:
        # What stands before a comma there belongs to no name.
        name = line[place:colon].rpartition(",")[2].strip()
        value = colon + 1
        while line[value : value + 1].isspace():
            value += 1
        quoted = _QUOTED.match(line, value)
        end = quoted.end() if quoted and line[quoted.end() :][:1] in ("", ",") else line.find(",", value)
        end = len(line) if end < 0 else end
        if name and _NAME.fullmatch(name):
            yield name, _unquoted(line[value:end].strip())
        place = end + 1


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value


def _schedule(pairs: Mapping[str, str]) -> str:
    kind = pairs.get("Schedule type", "Uniform")
    return _AUTOMATIC.get(pairs["Sampler"], kind) if kind == "Automatic" else kind


def _gpu_noise(pairs: Mapping[str, str]) -> bool:
    """Tell whether the noise came from a GPU, which A1111 says by not naming the CPU."""
    return pairs.get("RNG") != "CPU"
