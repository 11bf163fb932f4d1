"""The checkpoint's evaluation as it is kept, and the model card that is written from it."""

from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict
from rich.table import Table

from training import autoencoder, denoiser, text
from training.appearance import NEAR_WHITE
from training.evaluation import Figures
from training.palette import COLOURS


class Evaluation(BaseModel):
    """What was found on a finished checkpoint, as `evaluation.json` has it. Shares are from 0 to 1."""

    model_config = ConfigDict(frozen=True)

    #: Drawn pictures that it was trained on.
    drawings: int
    #: Wall seconds of each stage of the training, and the threads that it had.
    training_s: dict[str, float]
    training_threads: int
    #: Seconds to load and, as a median, for a picture with the checkpoint's own settings; one thread.
    load_s: float
    picture_s: float
    #: Mean peak signal-to-noise ratio of drawings, not trained on, that went through the autoencoder.
    reconstruction_db: float
    #: The measures themselves, held against drawings that they had not seen.
    measures: Figures
    #: Generated pictures, with the checkpoint's own settings, so in more wordings, and with Stable Diffusion 1.5's.
    own: Figures
    unseen: Figures
    stable_diffusion: Figures


_OWN: Final = "its own: DPM++ 2M, 12 steps"
_UNSEEN: Final = "its own, in 20 more wordings"
_STABLE_DIFFUSION: Final = "Stable Diffusion 1.5's: PNDM, 25 steps"
_DRAWINGS: Final = "drawings, not trained on"
_HEADER: Final = ("settings", "pictures", "colour right", "kind right", "border near white", "toe points left")


def evaluation_table(found: Evaluation) -> Table:
    """Return the figures as a table for the terminal."""
    table = Table(*_HEADER)
    for row in _rows(found):
        table.add_row(*row)
    return table


def model_card(found: Evaluation) -> str:
    """Return the README of the checkpoint, in the form that the hub reads."""
    rows = _markdown(_HEADER, _rows(found))
    recipe = _markdown(("part", "what", "steps", "minutes"), _recipe(found))
    wrong, others = (_wrong(one) for one in (found.own, found.unseen))
    return f"""\
---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
---

# demo

A very small Stable Diffusion that draws one casual shoe on white, in the colour and of the kind that the prompt names.
It exists so that Nightshift can be tried out, tested and measured without a download: it is a real
`StableDiffusionPipeline` and goes through the code that Stable Diffusion 1.5 goes through. It is no model for product
photos.

    from diffusers import StableDiffusionPipeline
    pipeline = StableDiffusionPipeline.from_pretrained("models/demo")
    pipeline("a red high-top", width=128, height=128, num_inference_steps=12).images[0].save("shoe.png")

## What it knows

Four kinds: casual shoe or low sneaker, high-top, loafer, boot. Twelve colours: {", ".join(COLOURS)}.
It was taught captions of many wordings in any order and case, and mostly looks past words that it does not know.
Where a prompt names no colour or no kind, the seed decides. Pictures are 128x128; twelve steps of DPM++ 2M and guidance
{denoiser.GUIDANCE} are its defaults, which stand in `nightshift.json`.

## Data

{found.drawings:,} drawings, made by `training/drawing.py`: no photograph, no other model and no text of other people is
in it. Every drawing has one shoe of even colour, pointing left or right, at times tilted, with a soft shadow, on white.
Captions are put together at random by `training/captions.py`; colours that belong to something else ("with white
laces", "on a black background") are among them, and the text encoder learns to leave those aside.

## Recipe

{recipe}

Minutes are of {found.training_threads} x86 threads without a GPU. `make demo-checkpoint` makes it again, from nothing;
the random seeds are fixed, though another processor rounds differently.

The last stage is not in Stable Diffusion's recipe. Colour and kind are nearly all that there is to a drawing, so a
caption adds far more to a prediction than it does in a model of photographs, and guidance 7.5 would over-drive it.

## Figures

12 colours x 4 kinds in each of 4 and of 20 wordings, a seed a wording; `evaluation.json` has all figures. Each
wording (`training/wordings.py`) has three words and more that no caption of the training has; the 20 speak of
backgrounds, and of two colours of which one is not the shoe's, in every order.

{rows}

The colour is the one of the twelve that most of the upper comes nearest to in CIELAB. The kind is told by a classifier
that saw drawings alone. The border is 4 pixels wide, near white is {NEAR_WHITE} or more in each channel; the share
of the worst picture stands behind the mean.

Not drawn as asked were, in the 4 wordings: {wrong}; in the 20: {others}.

In the 20 wordings both colour and kind are right in {found.unseen.least_of_a_colour:.0%} and more of each colour's
pictures, in {found.unseen.least_of_a_kind:.0%} and more of each kind's, and in
{found.unseen.least_of_a_wording or 0:.0%} and more of each wording's.

Drawings that go through the autoencoder come back at {found.reconstruction_db:.1f} dB. On one thread of the same
machine it loads in {found.load_s:.2f} s and draws a picture in {found.picture_s:.2f} s.

## Limits

- The background is white, whatever the prompt says, and there is always one shoe, seen from the side.
- Purple, gold, stripes and two colours at once were never taught: such a prompt gets any of the twelve.
- Only what stands in the first {text.PLACES} tokens counts, as in Stable Diffusion.
- Guidance below 4 or so follows the prompt less than it does in Stable Diffusion, for the reason above.
- Sizes other than 128x128 run, but the shoe comes out distorted or more than once.
- Negative prompts have little to act on.

## Licence

Apache-2.0, as the rest of the project: the weights come from its own drawings and captions alone.
"""


def _wrong(found: Figures) -> str:
    wrong = found.wrong_colours | found.wrong_kinds
    return "; ".join(f"{asked} ({number})" for asked, number in wrong.items()) or "nothing"


def _markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def _recipe(found: Evaluation) -> list[tuple[str, ...]]:
    parts = (
        ("text", f"CLIPTextModel, width {text.WIDTH}, 3 layers: tells colour and kind from every place", text.STEPS),
        ("autoencoder", "AutoencoderKL, 128x128x3 to 16x16x8, each latent channel whitened", autoencoder.STEPS),
        ("denoiser", "UNet2DConditionModel, predicts v", denoiser.STEPS),
        (
            "guidance",
            f"the denoiser learns to give at guidance {denoiser.GUIDANCE} what it gave at {denoiser.STRENGTH}",
            denoiser.GUIDED_STEPS,
        ),
    )
    return [(name, what, f"{steps:,}", f"{found.training_s[name] / 60:.1f}") for name, what, steps in parts]


def _rows(found: Evaluation) -> list[tuple[str, ...]]:
    sets = (
        (_OWN, found.own),
        (_UNSEEN, found.unseen),
        (_STABLE_DIFFUSION, found.stable_diffusion),
        (_DRAWINGS, found.measures),
    )
    return [
        (
            name,
            str(one.pictures),
            f"{one.colour_right:.1%}",
            f"{one.kind_right:.1%}",
            f"{one.white_border_mean:.1%} (least {one.white_border_least:.1%})",
            f"{one.toe_left:.0%}",
        )
        for name, one in sets
    ]
