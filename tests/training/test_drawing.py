"""The drawings, and the measures that are later put to generated pictures."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter, ImageOps

from training.appearance import drawn_colour, points_left, white_border
from training.drawing import draw_shoe
from training.palette import COLOURS, KINDS
from training.pictures import drawn, gathered

CLASSES = [(kind, colour) for kind in KINDS for colour in COLOURS]


@pytest.fixture(scope="module")
def shoes():
    """Three drawings of each class."""
    rng = np.random.default_rng(7)
    return [(draw_shoe(kind, colour, rng), kind, colour) for kind, colour in CLASSES * 3]


def test_the_colour_that_is_measured_is_the_colour_that_was_drawn(shoes):
    assert [drawn_colour(picture) for picture, _, _ in shoes] == [colour for _, _, colour in shoes]


def test_a_blurred_picture_keeps_its_colour(shoes):
    blurred = [drawn_colour(picture.filter(ImageFilter.GaussianBlur(0.8))) for picture, _, _ in shoes]
    assert blurred == [colour for _, _, colour in shoes]


def test_a_dyed_shoe_is_measured_as_what_it_was_dyed(shoes):
    for picture, _, colour in shoes:
        # Red and blue change places, which makes another colour of all but the greys, and of green and pink hardly one.
        if colour in {"red", "blue", "orange", "yellow", "brown", "navy"}:
            assert drawn_colour(Image.merge("RGB", picture.split()[::-1])) != colour


def test_an_empty_picture_has_no_colour():
    assert drawn_colour(Image.new("RGB", (128, 128), "white")) is None


def test_the_border_is_white_and_one_that_is_not_is_noticed(shoes):
    for picture, _, _ in shoes:
        assert white_border(picture) == 1
    grey = ImageOps.expand(shoes[0][0].crop((1, 1, 127, 127)), 1, "grey")
    assert white_border(grey) == pytest.approx(1 - (128**2 - 126**2) / (128**2 - 120**2))


def test_shoes_point_either_way_and_a_mirrored_one_points_the_other(shoes):
    left = [points_left(picture) for picture, _, _ in shoes]
    assert 0.3 < np.mean(left) < 0.7
    assert [points_left(ImageOps.mirror(picture)) for picture, _, _ in shoes] == [not way for way in left]


@pytest.mark.parametrize(("kind", "colour"), [("clog", "red"), ("boot", "purple")])
def test_what_was_never_taught_cannot_be_drawn(kind, colour):
    with pytest.raises(KeyError):
        draw_shoe(kind, colour, np.random.default_rng(0))


def test_the_same_seed_draws_the_same_pictures_and_another_seed_others():
    first, again, other = (gathered(list(drawn(48, seed))) for seed in (1, 1, 2))
    assert torch.equal(first.pixels, again.pixels)
    assert not torch.equal(first.pixels, other.pixels)
    assert first.pixels.shape == (48, 3, 128, 128)


def test_every_class_is_drawn_as_often_as_any_other():
    pictures = gathered(list(drawn(96, 0)))
    assert not torch.equal(pictures.pixels[:48], pictures.pixels[48:])
    pairs = list(zip(pictures.colours.tolist(), pictures.kinds.tolist(), strict=True))
    assert sorted(pairs) == sorted([*itertools.product(range(len(COLOURS)), range(len(KINDS)))] * 2)
    for picture, colour, _ in pictures.labelled():
        assert drawn_colour(picture) == colour
    with pytest.raises(ValueError, match="50 pictures cannot be shared out among 48 classes"):
        next(drawn(50, 0))
