"""Reading what a picture was made with from its PNG file, in the form of A1111's `parameters`."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from models.checkpoints import DEMO, STABLE_DIFFUSION_1_5
from producer.problems import Problems, place, visible
from producer.request import Request

#: One `name: value` of the last line; a value with a comma, a colon or a newline is JSON-quoted.
_PAIR = re.compile(r'\s*([\w ]+):\s*("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)')
#: A1111 takes the last line for settings from so many pairs on.
_LEAST_PAIRS = 3
_NEGATIVE = "Negative prompt: "
#: What a job can say, by A1111's names.
_FIELDS = {"Steps": "steps", "CFG scale": "guidance", "Seed": "seed"}
#: What changes nothing of a picture, or is read apart.
_READ = {*_FIELDS, "Sampler", "Schedule type", "Size", "Model", "Model hash", "Version", "RNG"}


def read_pictures(
    sources: Sequence[str], checkpoints: Sequence[str], problems: Problems, warn: Callable[[str], None], *, named: bool
) -> Iterator[Request]:
    """Read a request out of each PNG file of `sources`, and of each in the folders among them, by name.

    `checkpoints` are those that a picture's `Model` may mean; where it is none of them, a picture takes what the
    command line names, if it does (`named`). What a job cannot say, such as `Clip skip`, is told to `warn`, and every
    picture that cannot be used to `problems`.
    """
    for source in sources:
        for path in _files(Path(source), problems):
            try:
                values, left = parse_parameters(_parameters(path))
            except ValueError as error:
                problems.add(place(str(path)), str(error))
                continue
            model = values.pop("model", None)
            found = next((name for name in checkpoints if _short(name) == model), None)
            if found is not None:
                values["checkpoint"] = found
            elif model is not None and not named:
                problems.add(
                    place(str(path)),
                    f"was made with a checkpoint called {visible(model)}, which is not known here; name it with "
                    "--checkpoint",
                )
            if left:
                warn(f"{place(str(path))}: made with {', '.join(left)}, which a job here cannot ask for")
            yield Request(None, values, origin=str(path))


def parse_parameters(text: str) -> tuple[dict[str, object], list[str]]:
    """Return what `parameters` says, by the names of a job's fields and `model`, and the names of what else it says.

    Raises:
        ValueError: if its last line holds no settings.
    """
    *lines, last = text.rstrip("\n").split("\n")
    pairs = {name: _unquoted(value.strip()) for name, value in _PAIR.findall(last)}
    if len(pairs) < _LEAST_PAIRS:
        raise ValueError("its parameters end with no line of settings such as `Steps: 25, Sampler: Euler, Seed: 1`")
    start = next((number for number, line in enumerate(lines) if line.startswith(_NEGATIVE)), len(lines))
    values: dict[str, object] = {"prompt": "\n".join(lines[:start])}
    negative = "\n".join(lines[start:]).removeprefix(_NEGATIVE)
    if negative:
        values["negative_prompt"] = negative
    values |= {field: pairs[name] for name, field in _FIELDS.items() if name in pairs}
    if "Size" in pairs:
        values["width"], _, values["height"] = pairs["Size"].partition("x")
    if "Sampler" in pairs:
        values["scheduler"] = _scheduler(pairs)
    if "Model" in pairs:
        values["model"] = pairs["Model"]
    return values, [name for name in pairs if name not in _READ] + (["a GPU's noise"] if _gpu_noise(pairs) else [])


def known_checkpoints(default: str, folders: Sequence[Path]) -> list[str]:
    """Return the checkpoints that a picture's `Model` may mean: the default, ours, and what lies in `folders`."""
    lying = [
        str(path)
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.is_dir() or path.suffix == ".safetensors"
    ]
    return [default, DEMO, STABLE_DIFFUSION_1_5, *lying]


def _files(source: Path, problems: Problems) -> list[Path]:
    if not source.is_dir():
        return [source]
    try:
        found = sorted(path for path in source.iterdir() if path.suffix.lower() == ".png")
    except OSError as error:
        problems.add(place(str(source)), f"cannot be read: {error.strerror or error}")
        return []
    if not found:
        problems.add(place(str(source)), "has no PNG file in it")
    return found


def _parameters(path: Path) -> str:
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            # A text may stand behind the pixels.
            picture.load()
            text = getattr(picture, "text", {}).get("parameters")
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    except UnidentifiedImageError:
        raise ValueError("is no PNG file") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot be read: {error}") from None
    if text is None:
        raise ValueError("has no parameters in it; another program may have taken them out")
    return str(text)


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value


def _scheduler(pairs: Mapping[str, str]) -> str:
    kind = pairs.get("Schedule type", "Automatic")
    return pairs["Sampler"] if kind == "Automatic" else f"{pairs['Sampler']} {kind}"


def _gpu_noise(pairs: Mapping[str, str]) -> bool:
    """Tell whether the noise came from a GPU, which A1111 says by not naming the CPU."""
    return pairs.get("RNG") != "CPU"


def _short(checkpoint: str) -> str:
    return Path(checkpoint).name.removesuffix(".safetensors")
