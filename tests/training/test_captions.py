"""Captions ask for what their labels say, and the wordings of the evaluation are not among them."""

import re

import numpy as np
import pytest

from training.captions import NO_COLOUR, NO_KIND, any_caption, make_caption
from training.evaluation import prompts
from training.palette import COLOURS, KINDS
from training.wordings import BACKGROUNDS, USUAL

NUMBER = 3000


@pytest.fixture(scope="module")
def captions():
    rng = np.random.default_rng(11)
    return [any_caption(rng) for _ in range(NUMBER)]


def words(text):
    return set(re.findall(r"[a-z]+", text.lower()))


def test_a_caption_names_its_colour(captions):
    for caption in captions:
        if caption.colour != NO_COLOUR:
            name = list(COLOURS)[caption.colour]
            assert words(caption.text) & {name, name.replace("grey", "gray")}, caption


def test_a_caption_names_its_kind_and_no_other(captions):
    marks = {
        "high-top": "hi(gh)?[- ]top",
        "loafer": "loafer",
        "boot": r"boots?(?!\w)",
        "sneaker": "shoe|sneaker|low[- ]top|trainer",
    }
    for caption in captions:
        if caption.kind != NO_KIND:
            assert re.search(marks[KINDS[caption.kind]], caption.text.lower()), caption


def test_labels_are_spread_and_some_captions_name_nothing(captions):
    colours = np.bincount([caption.colour for caption in captions], minlength=NO_COLOUR + 1) / NUMBER
    kinds = np.bincount([caption.kind for caption in captions], minlength=NO_KIND + 1) / NUMBER
    assert colours[:NO_COLOUR].min() > 0.04
    assert kinds[:NO_KIND].min() > 0.15
    assert colours[NO_COLOUR] > 0.05
    assert kinds[NO_KIND] > 0.05
    assert any(not caption.text for caption in captions)


def test_colours_of_other_things_stand_in_captions_of_every_colour(captions):
    told = [caption for caption in captions if "white background" in caption.text.lower()]
    assert len({caption.colour for caption in told}) == NO_COLOUR + 1


def test_the_wordings_of_the_evaluation_have_words_that_no_caption_has():
    rng = np.random.default_rng(12)
    known = set().union(*(words(any_caption(rng).text) for _ in range(20_000)))
    for wording in (*USUAL, *BACKGROUNDS):
        assert len(words(wording.format(colour="", kind="")) - known) >= 3, wording


def test_the_evaluation_asks_for_every_colour_and_kind_with_four_seeds():
    asked = list(prompts())
    assert len({(one.colour, one.kind, one.seed) for one in asked}) == len(asked) == 12 * 4 * 4
    for one in (*asked, *prompts(BACKGROUNDS)):
        assert one.colour in words(one.prompt)


def test_the_same_random_state_gives_the_same_caption():
    assert make_caption(np.random.default_rng(3), 0, 0) == make_caption(np.random.default_rng(3), 0, 0)
