"""The pictures of a comparison side by side: one row for each prompt and seed, one column for each variant."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.figures.made_pictures import MadePicture
from producer.prompts.axes import variant_of


@dataclass(frozen=True)
class SameSeed:
    """What the variants made of one prompt and seed."""

    prompt: str
    seed: int
    #: One for each variant, in their order; None where it made no picture.
    pictures: Sequence[MadePicture | None]


def side_by_side(pictures: Iterable[MadePicture], variants: Sequence[str]) -> list[SameSeed]:
    """Return the rows in the order of the jobs; a prompt and seed of which nothing is made yet has none."""
    rows: dict[tuple[str, int], dict[str, MadePicture]] = {}
    for one in pictures:
        rows.setdefault((one.spec.prompt, one.spec.seed), {})[variant_of(one.attributes)] = one
    by_prompt = {prompt: number for number, prompt in enumerate(dict.fromkeys(prompt for prompt, _ in rows))}
    return [
        SameSeed(prompt, seed, [made.get(variant) for variant in variants])
        for (prompt, seed), made in sorted(rows.items(), key=lambda row: by_prompt[row[0][0]])
    ]
