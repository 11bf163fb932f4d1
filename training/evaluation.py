"""What the finished checkpoint draws, held against what it was asked for."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor, nn

from models.checkpoints import CheckpointDefaults
from models.settings import Settings
from models.types.job import JobSpec
from training.appearance import drawn_colour, points_left, white_border
from training.drawing import SIZE
from training.kind import drawn_kinds
from training.palette import COLOURS, KINDS
from training.wordings import USUAL
from worker.engine.checkpoints.local_checkpoint import find_checkpoint
from worker.engine.devices.registry import choose_device
from worker.engine.loading import load_checkpoint
from worker.engine.making.generation import generate

_NAMES: Final = {"sneaker": "casual shoes", "high-top": "high-top sneakers", "loafer": "loafers", "boot": "boots"}
#: What jobs of Stable Diffusion 1.5 take, but for the size.
STABLE_DIFFUSION: Final = CheckpointDefaults(width=SIZE, height=SIZE)


@dataclass(frozen=True)
class Drawn:
    """A generated picture, what it was asked to be, and how long it took."""

    picture: Image.Image
    colour: str
    kind: str
    #: How long the generation took; drawings have none.
    seconds: float | None = None
    #: What it was asked for with; drawings were not.
    wording: str | None = None


@dataclass(frozen=True)
class Figures:
    """What was found on a set of pictures; shares are from 0 to 1."""

    pictures: int
    colour_right: float
    kind_right: float
    white_border_least: float
    white_border_mean: float
    toe_left: float
    #: The share of right ones where it is least: of one colour, of one kind, and of one wording if there are wordings.
    least_of_a_colour: float
    least_of_a_kind: float
    least_of_a_wording: float | None
    #: "asked -> seen", with the number of pictures.
    wrong_colours: dict[str, int]
    wrong_kinds: dict[str, int]


@dataclass(frozen=True)
class Asked:
    """What a picture is asked to be."""

    prompt: str
    colour: str
    kind: str
    seed: int
    wording: str


def prompts(wordings: Sequence[str] = USUAL) -> Iterator[Asked]:
    """Yield what is asked for: 12 colours x 4 kinds in each wording, with a seed a wording."""
    for seed, wording in enumerate(wordings):
        for kind in KINDS:
            for colour in COLOURS:
                yield Asked(wording.format(colour=colour, kind=_NAMES[kind]), colour, kind, seed, wording)


class Sample:
    """A checkpoint in a folder, loaded as a worker loads it, on one core."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        self._name = str(folder)
        self._device = choose_device("cpu", "float32")
        begun = time.perf_counter()
        self._loaded = load_checkpoint(find_checkpoint(self._name), self._device, Settings())
        self.load_s = time.perf_counter() - begun

    @property
    def autoencoder(self) -> AutoencoderKL:
        """The autoencoder as it was loaded, rounded to float16 on the way."""
        return self._loaded.pipeline.vae

    def draw(self, settings: CheckpointDefaults, wordings: Sequence[str] = USUAL) -> Iterator[Drawn]:
        """Yield a picture of each of `prompts`."""
        for asked in prompts(wordings):
            spec = JobSpec(prompt=asked.prompt, seed=asked.seed, checkpoint=self._name, **settings.model_dump())
            begun = time.perf_counter()
            picture = generate(self._loaded, self._device, spec, lambda _step: None).picture
            yield Drawn(picture, asked.colour, asked.kind, time.perf_counter() - begun, asked.wording)


def figures(drawn: Sequence[Drawn], kind_measure: nn.Module) -> Figures:
    """Return what the measures find on pictures."""
    pixels = torch.stack([_scaled(one.picture) for one in drawn])
    kinds = [KINDS[place] for place in drawn_kinds(kind_measure, pixels).tolist()]
    colours = [drawn_colour(one.picture) or "none" for one in drawn]
    wrong_colours = Counter(f"{d.colour} -> {seen}" for d, seen in zip(drawn, colours, strict=True) if d.colour != seen)
    wrong_kinds = Counter(f"{d.kind} -> {seen}" for d, seen in zip(drawn, kinds, strict=True) if d.kind != seen)
    right = [d.colour == colour and d.kind == kind for d, colour, kind in zip(drawn, colours, kinds, strict=True)]
    wordings = [d.wording for d in drawn if d.wording is not None]
    borders = [white_border(one.picture) for one in drawn]
    return Figures(
        pictures=len(drawn),
        colour_right=1 - wrong_colours.total() / len(drawn),
        kind_right=1 - wrong_kinds.total() / len(drawn),
        white_border_least=min(borders),
        white_border_mean=float(np.mean(borders)),
        toe_left=float(np.mean([points_left(one.picture) for one in drawn])),
        least_of_a_colour=_least(right, [d.colour for d in drawn]),
        least_of_a_kind=_least(right, [d.kind for d in drawn]),
        least_of_a_wording=_least(right, wordings) if wordings else None,
        wrong_colours=dict(wrong_colours.most_common()),
        wrong_kinds=dict(wrong_kinds.most_common()),
    )


def _least(right: Sequence[bool], groups: Sequence[str]) -> float:
    """Return the share of right ones of the group that has the fewest."""
    total, good = Counter(groups), Counter(group for group, one in zip(groups, right, strict=True) if one)
    return min(good[group] / total[group] for group in total)


def contact_sheet(pictures: Sequence[Image.Image], columns: int = len(COLOURS)) -> Image.Image:
    """Return the pictures, all of one size, in rows."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (columns * width, -(-len(pictures) // columns) * height), "white")
    for place, picture in enumerate(pictures):
        sheet.paste(picture, (place % columns * width, place // columns * height))
    return sheet


def _scaled(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 127.5 - 1
