"""Prompts are counted and cut as CLIP's own tokenizer counts and cuts them."""

import shutil

import pytest
from transformers import CLIPTokenizer

from models.checkpoints import DEMO_FOLDER
from models.records.batches import PlannedJob
from models.types.job import JobSpec
from producer.prompts.tokens import cut_prompts

TAIL = "the very last words"
TEXTS = [
    f"A professional PRODUCT photo of black casual shoes, {'high quality, ' * 40}{TAIL}",
    "don't " + "  stop\n" * 60 + TAIL,
    f"1234567890 {'8k ' * 60}{TAIL}",
    f"{'👟' * 80} {TAIL}",
    f"{'ботинки 鞋子 ' * 20}{TAIL}",
    "x" * 400,
    # Fewer characters than there are places, and more tokens.
    "👟🥾" * 20,
    "休闲鞋工作室灯光" * 5,
]


@pytest.fixture(scope="module", params=["tokenizer.json", "vocab.json and merges.txt"])
def checkpoint(request, tmp_path_factory):
    """The demo, with the one file that new tokenizers have, or with the two of Stable Diffusion 1.5."""
    folder = shutil.copytree(DEMO_FOLDER, tmp_path_factory.mktemp("checkpoint") / "demo")
    if request.param != "tokenizer.json":
        model = CLIPTokenizer.from_pretrained(folder / "tokenizer").backend_tokenizer.model
        (folder / "tokenizer" / "tokenizer.json").unlink()
        model.save(str(folder / "tokenizer"))
    return folder


def cut(checkpoint, prompt):
    values = {"seed": 1, "steps": 12, "guidance": 7.5, "width": 128, "height": 128, "scheduler": "DDIM"}
    job = PlannedJob(JobSpec(prompt=prompt, checkpoint=str(checkpoint), **values), 1)
    return next((end for _, end in cut_prompts([job], weights=True)), None)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_the_end_that_is_cut_is_the_one_that_clip_does_not_see(checkpoint, text):
    tokenizer = CLIPTokenizer.from_pretrained(DEMO_FOLDER / "tokenizer")
    ids = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
    assert len(ids) > 75
    assert cut(checkpoint, text) == tokenizer.decode(ids[75:]).strip()


def test_a_prompt_that_just_fits_is_not_cut_and_one_word_more_is(checkpoint):
    assert cut(checkpoint, "shoe " * 75) is None
    assert cut(checkpoint, "shoe " * 75 + "red") == "red"


def test_a_checkpoint_that_is_not_here_is_passed_over(tmp_path):
    assert cut(tmp_path / "nowhere", TEXTS[0]) is None


def test_each_line_is_named_once_however_many_pictures_it_asks_for(checkpoint):
    def jobs(line, prompt, count):
        values = {"steps": 12, "guidance": 7.5, "width": 128, "height": 128, "scheduler": "DDIM"}
        return [
            PlannedJob(JobSpec(prompt=prompt, seed=seed, checkpoint=str(checkpoint), **values), line)
            for seed in range(count)
        ]

    too_long = "shoe " * 75 + "red"
    found = cut_prompts([*jobs(2, too_long, 3), *jobs(3, "a shoe", 1), *jobs(5, too_long, 1)], weights=True)
    assert list(found) == [(2, "red"), (5, "red")]


def test_the_signs_of_weights_are_no_tokens_and_each_part_has_its_own_places():
    words = "shoe " * 70
    values = {"seed": 1, "steps": 12, "guidance": 7.5, "width": 128, "height": 128, "scheduler": "DDIM"}
    job = PlannedJob(JobSpec(prompt=f"({words}:1.2) BREAK {words}", checkpoint="demo", **values), 1)
    assert list(cut_prompts([job], weights=True)) == []
    ((line, cut),) = cut_prompts([job], weights=False)
    assert (line, "shoe" in cut) == (1, True)
