"""What the autoencoder cannot draw is told before anything is learnt; what it can draw is let through."""

import numpy as np
import pytest
from diffusers import StableDiffusionPipeline

from models.checkpoints import DEMO_FOLDER
from models.types.errors import TrainingError
from training.drawing import draw_shoe
from training.palette import KINDS
from worker.engine.training.examples import Example, decoded, encode
from worker.engine.training.parts import Parts
from worker.segment.autoencoder import require_colours_kept

OLIVE, PURPLE = (110, 118, 60), (128, 44, 140)


@pytest.fixture(scope="module")
def parts():
    return Parts.of(StableDiffusionPipeline.from_pretrained(DEMO_FOLDER, safety_checker=None))


def drawings(colour, name, number=8):
    rng = np.random.default_rng(1)
    return [(draw_shoe(KINDS[i % 4], colour, rng), f"a photo of {name} shoes") for i in range(number)]


def look(parts, pictures):
    examples = [Example(picture, caption) for picture, caption in pictures]
    latents = encode(examples, parts, [(128, 128)], mirrored=False).latents
    found = [decoded(one, parts) for one in latents]
    require_colours_kept((picture, after, caption) for (picture, caption), after in zip(pictures, found, strict=True))


def test_a_colour_that_the_autoencoder_draws_is_let_through(parts):
    look(parts, drawings(OLIVE, "olive"))


def test_a_colour_that_it_cannot_draw_is_told_with_what_was_seen(parts):
    with pytest.raises(
        TrainingError, match=r"cannot draw it: of 8 pictures .* 0 have it still .*a photo of purple shoes"
    ):
        look(parts, drawings(PURPLE, "purple"))


def test_captions_that_name_no_colour_and_colours_that_were_never_there_say_nothing(parts):
    look(parts, drawings(PURPLE, "fancy"))
    look(parts, drawings(PURPLE, "red"))
    look(parts, drawings(PURPLE, "purple", 3))
