"""What pictures checkpoints of a training are compared by."""

from pathlib import Path

import pytest

from models.training.config import TrainingConfig
from models.training.data_set import CaptionedPicture, DataSet
from models.training.validation import captions_to_show, validation_specs
from models.types.job import MAX_PROMPT, MAX_SEED


def captioned(*captions):
    return [CaptionedPicture(Path("a.png"), caption) for caption in captions]


@pytest.mark.parametrize(
    ("learnt", "held_out", "shown"),
    [
        (["a", "b"], ["c"], ("c",)),
        (["a", "b"], [], ("a", "b")),
        # Each once, and from all of them.
        (list("aabbccddeeffgg"), [], ("a", "d", "g")),
        (list("abcd"), [], ("a", "c")),
        (["", " ", "x" * (MAX_PROMPT + 1), "a\0b", "c"], [], ("c",)),
        ([""], [], ()),
    ],
)
def test_captions_that_no_prompt_is_named_for_are_of_what_is_held_out_else_of_what_is_learnt(learnt, held_out, shown):
    assert captions_to_show(DataSet(captioned(*learnt), captioned(*held_out))) == shown


def test_each_prompt_is_made_in_the_same_seeds_and_the_first_comes_after_the_last():
    config = TrainingConfig(
        model_id="demo", resolution=128, seed=MAX_SEED, validation_prompt=("a", "b"), num_validation_images=2
    )
    made = list(validation_specs(config, "x/y"))
    assert [(one.prompt, one.seed) for one in made] == [("a", MAX_SEED), ("a", 0), ("b", MAX_SEED), ("b", 0)]
    assert {(one.width, one.height, one.lora, one.checkpoint) for one in made} == {(128, 128, "x/y", "demo")}
