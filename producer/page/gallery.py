"""What the page's gallery is told of the pictures: each with numbers in place of what it has in common with others."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from checks.colour_names import colours
from models.types.job import JobSpec
from producer.format import seconds
from producer.page.pictures import ShownPicture

#: Fields of a job that are told of each picture by itself.
_OWN = ("prompt", "seed")


class _Numbered:
    """Values, each of which has a number however often it comes."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[str, int] = {}

    def number(self, value: Any) -> int:
        known = self._numbers.setdefault(json.dumps(value), len(self.values))
        if known == len(self.values):
            self.values.append(value)
        return known


class Gallery:
    """Pictures, as the page's script reads them."""

    def __init__(self, pictures: Iterable[ShownPicture]) -> None:
        self._pictures: list[dict[str, Any]] = []
        self._prompts, self._settings, self._attributes, self._findings = (_Numbered() for _ in range(4))
        for one in pictures:
            self._add(one)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it; `flags` are those of `producer enqueue` by field."""
        return {
            "pictures": self._pictures,
            "prompts": self._prompts.values,
            "settings": self._settings.values,
            "attributes": self._attributes.values,
            "findings": self._findings.values,
            "flags": {name: f"--{name.replace('_', '-')}" for name in JobSpec.model_fields},
        }

    def _add(self, shown: ShownPicture) -> None:
        made = shown.made
        spec = made.spec.model_dump()
        named = colours().asked(made.spec.prompt, made.attributes)
        self._pictures.append(
            {
                "job": made.job_id,
                "batch": made.batch,
                "prompt": self._prompts.number(spec["prompt"]),
                # A seed may have more digits than a number has in a browser.
                "seed": str(spec["seed"]),
                "settings": self._settings.number(_settings(spec)),
                "attributes": self._attributes.number(_with_colour(made.attributes, " and ".join(named))),
                "accepted": made.is_accepted,
                "person": made.accepted_by_person is not None,
                "findings": [self._findings.number([one.check, one.passed, one.sentence]) for one in made.findings],
                "seconds": made.total_s,
                "took": seconds(made.total_s),
                "finished": None if made.finished_at is None else made.finished_at.timestamp(),
                "file": shown.file,
                "thumbnail": shown.thumbnail,
            }
        )


def _settings(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in spec.items() if name not in _OWN and (name != "lora" or value)}


def _with_colour(attributes: Mapping[str, str], named: str) -> dict[str, str]:
    """Return the attributes with the colour that the prompt names, where none of them is one."""
    known = {name.lower() for name in attributes}
    return dict(attributes) if not named or known & {"colour", "color"} else {**attributes, "colour": named}
