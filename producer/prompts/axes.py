"""Axes of a comparison: the values that a field of a job takes in turn, with all else equal."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from models.lora_files import LORA_SUFFIX
from models.types.job import JobSpec
from producer.prompts.keys import canonical_key
from producer.prompts.request import Request

#: What a picture is of; all else may be an axis.
_KEPT = ("prompt", "seed")
#: A LoRA's value for none at all.
NONE = "none"
#: Between the LoRAs of one value, since commas are between values.
_AND = "+"


@dataclass(frozen=True)
class Axis:
    """A field, and its values as a person has written them."""

    field: str
    values: tuple[str, ...]


def parse_axis(text: str, lora_folders: Sequence[Path]) -> Axis:
    """Return an axis such as `guidance=3,7.5`, or `lora=none,olive:0.8,shoes/`, of which the last is a folder.

    Raises:
        ValueError: saying what is wrong with it.
    """
    name, equals, values = text.partition("=")
    field = canonical_key(name.strip())
    fields = [name for name in JobSpec.model_fields if name not in _KEPT]
    if not equals or field not in fields:
        raise ValueError(f"{text} is no axis; write FIELD=VALUE,VALUE with one of {', '.join(fields)}")
    found = [
        part for value in values.split(",") if value.strip() for part in _spread(field, value.strip(), lora_folders)
    ]
    if len(set(found)) < len(found) or len(found) < 1:
        raise ValueError(f"{text} has no values, or one twice")
    return Axis(field, tuple(found))


def expanded(requests: Iterable[Request], axes: Sequence[Axis], flags: Mapping[str, object]) -> Iterator[Request]:
    """Yield each request once for each variant, on seeds that are the same for all and another for each request.

    The attributes name the variant, by the fields.
    """
    seed, count = (value if isinstance(value := flags.get(name), int) else 1 for name in ("seed", "count"))
    for number, request in enumerate(requests):
        own = {} if "seed" in request.values else {"seed": seed + number * max(1, count)}
        for values in product(*(axis.values for axis in axes)):
            chosen = dict(zip((axis.field for axis in axes), values, strict=True))
            settled = {field: _settled(field, value) for field, value in chosen.items()}
            yield replace(
                request, values={**request.values, **own, **settled}, attributes={**request.attributes, **chosen}
            )


def variant_of(attributes: Mapping[str, str]) -> str:
    """Return how people call the variant that a job's attributes name."""
    found = {name: value for name, value in attributes.items() if name in JobSpec.model_fields}
    return next(iter(found.values())) if len(found) == 1 else ", ".join(f"{name} {found[name]}" for name in found)


def _settled(field: str, value: str) -> str:
    if field != "lora":
        return value
    return "" if value == NONE else value.replace(_AND, ", ")


def _spread(field: str, value: str, folders: Sequence[Path]) -> list[str]:
    """Return the value, or the LoRAs in the folder that it names."""
    if field != "lora" or not value.endswith("/"):
        return [value]
    places = [folder / value for folder in folders if (folder / value).is_dir()]
    names = [
        f"{value}{file.name.removesuffix(LORA_SUFFIX)}" for place in places for file in place.glob(f"*{LORA_SUFFIX}")
    ]
    if not names:
        raise ValueError(f"lora={value} names no folder of LoRAs in {', '.join(map(str, folders))}")
    # By their numbers, so that step 1000 comes after step 500.
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])
