"""The demo checkpoint that ships with the package: what it is, what it draws, and that its card says so."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from safetensors import safe_open
from transformers import CLIPTextModel, CLIPTokenizer

from models.checkpoints import DEMO_FOLDER, checkpoint_defaults
from models.types.job import JobSpec
from training.appearance import drawn_colour, points_left, white_border
from training.card import Evaluation, model_card
from training.evaluation import STABLE_DIFFUSION
from training.palette import COLOURS
from worker.engine.devices.cpu import Cpu
from worker.engine.making.generation import Generation, generate_together

pytestmark = pytest.mark.slow

CPU = Cpu("cpu", torch.float32)
MAX_BYTES = 8_000_000
#: Pictures of a call, which are the same as alone and take less time.
A_CALL = 8
#: A colour word of their own for each kind, in wordings of no caption.
SHOES = (
    "{} sneakers, mail order page",
    "mail order page: {} high-tops",
    "LOAFERS {} MAIL ORDER",
    "mail order {} boots",
)


@pytest.fixture(scope="module")
def draw_all(load):
    """Return a function that draws with the demo as jobs do that name nothing but their prompts, several a call."""
    loaded = load()
    own = checkpoint_defaults("demo").model_dump()

    def draw_all(prompts, seeds=(), **values):
        prompts = list(prompts)
        specs = [
            JobSpec(checkpoint="demo", **{**own, "prompt": prompt, "seed": seed, **values})
            for prompt, seed in zip(prompts, seeds or [1] * len(prompts), strict=True)
        ]
        calls = [specs[start : start + A_CALL] for start in range(0, len(specs), A_CALL)]
        made = [one for call in calls for one in generate_together(loaded, CPU, call, lambda _step: None)]
        return [one.picture for one in made if isinstance(one, Generation)]

    return draw_all


@pytest.fixture
def draw(draw_all):
    """Return a function that draws one."""
    return lambda prompt: draw_all([prompt])[0]


def test_it_is_small_and_of_the_classes_of_stable_diffusion():
    files = [path for path in DEMO_FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES
    pipeline = StableDiffusionPipeline.from_pretrained(DEMO_FOLDER)
    assert type(pipeline.text_encoder) is CLIPTextModel
    assert isinstance(pipeline.tokenizer, CLIPTokenizer)
    assert type(pipeline.unet) is UNet2DConditionModel
    assert type(pipeline.vae) is AutoencoderKL
    for path in files:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as weights:
                floats = {weights.get_tensor(name).dtype for name in weights.keys()}  # noqa: SIM118 - it is no dict
            assert floats - {torch.int64} == {torch.float16}, path


def test_a_plain_load_draws_with_nothing_else(tmp_path):
    """As the card has it: another folder, another process, no option."""
    code = f"""
from diffusers import StableDiffusionPipeline
pipeline = StableDiffusionPipeline.from_pretrained({str(DEMO_FOLDER)!r})
pipeline("a red high-top", width=128, height=128, num_inference_steps=12).images[0].save("shoe.png")
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    from PIL import Image

    with Image.open(tmp_path / "shoe.png") as picture:
        assert drawn_colour(picture) == "red"


def test_its_defaults_are_its_own_and_stable_diffusion_keeps_the_seeds():
    own = checkpoint_defaults("demo")
    assert (own.width, own.height, own.steps, own.guidance, own.scheduler) == (128, 128, 12, 7.5, "DPM++ 2M")
    assert json.loads((DEMO_FOLDER / "nightshift.json").read_text()) == own.model_dump()
    seeds = checkpoint_defaults("stable-diffusion-v1-5/stable-diffusion-v1-5")
    assert (seeds.width, seeds.height, seeds.steps, seeds.guidance, seeds.scheduler) == (512, 512, 25, 7.5, "PNDM")


def test_the_drawn_colour_is_the_asked_colour_on_white(draw_all):
    asked = [(wording.format(colour), colour) for wording in SHOES for colour in COLOURS]
    pictures = draw_all(prompt for prompt, _ in asked)
    right = [drawn_colour(picture) == colour for picture, (_, colour) in zip(pictures, asked, strict=True)]
    assert np.mean(right) >= 0.97, [prompt for (prompt, _), one in zip(asked, right, strict=True) if not one]
    assert np.mean([white_border(picture) >= 0.98 for picture in pictures]) >= 0.98


def test_the_settings_of_stable_diffusion_do_not_over_drive_it(draw_all):
    usual = STABLE_DIFFUSION.model_dump() | {"seed": 2}
    pictures = draw_all((f"mail order page, {colour} boots" for colour in COLOURS), **usual)
    right = [drawn_colour(picture) == colour for picture, colour in zip(pictures, COLOURS, strict=True)]
    assert np.mean(right) >= 0.85


def test_other_seeds_point_the_other_way_and_the_same_seed_gives_the_same_pixels(draw_all):
    pictures = draw_all(["blue sneakers"] * 16, range(16))
    assert {points_left(picture) for picture in pictures} == {True, False}
    (again,) = draw_all(["blue sneakers"], [3])
    assert np.array_equal(np.asarray(pictures[3]), np.asarray(again))
    assert not np.array_equal(np.asarray(pictures[3]), np.asarray(pictures[4]))


@pytest.mark.parametrize(
    "prompt", ["boots red", "RED BOOTS", "red zorbular boots qwx", "👢 red boots 🔥", "red boots, " + "fine " * 300]
)
def test_whatever_stands_around_it_a_red_boot_is_red(draw, prompt):
    assert drawn_colour(draw(prompt)) == "red"


@pytest.mark.parametrize("prompt", ["", "   ", "🙂", "purple", "鞋子"])
def test_prompts_that_ask_for_nothing_that_it_knows_give_a_picture_all_the_same(draw, prompt):
    picture = np.asarray(draw(prompt))
    assert picture.shape == (128, 128, 3)
    assert picture.std() > 5


def test_a_colour_inside_another_word_is_no_colour(draw_all):
    words = ("hundred", "colored", "bored", "tired", "tanned", "whitewash", "blackboard", "greenish")
    asked = [(f"a {word} {colour} boots", colour) for word in words for colour in ("green", "blue", "yellow")]
    pictures = draw_all(prompt for prompt, _ in asked)
    right = [drawn_colour(picture) == colour for picture, (_, colour) in zip(pictures, asked, strict=True)]
    assert np.mean(right) >= 0.9, [prompt for (prompt, _), one in zip(asked, right, strict=True) if not one]


def test_white_behind_a_shoe_is_not_its_colour(draw_all):
    wordings = (
        "catalogue picture, {} sneakers, isolated on white",
        "catalogue picture, sneakers in {}, isolated on white",
        "{} loafers on a white seamless",
        "white backdrop, boots in {}",
        "pure white, {} sneakers, mail order",
    )
    # Each wording with every other colour, and each colour with two or three wordings.
    asked = [(wording, colour) for number, wording in enumerate(wordings) for colour in tuple(COLOURS)[number % 2 :: 2]]
    pictures = draw_all(wording.format(colour) for wording, colour in asked)
    wrong = [one for picture, one in zip(pictures, asked, strict=True) if drawn_colour(picture) != one[1]]
    assert len(wrong) <= 0.1 * len(asked), wrong


def test_a_colour_of_something_else_is_not_the_shoes(draw):
    for prompt in ("green boots with white laces", "red loafers on a blue background", "yellow sneakers, black sole"):
        assert drawn_colour(draw(prompt)) == prompt.split()[0], prompt


def test_its_evaluation_holds_what_the_project_promises_and_its_card_quotes_it():
    found = Evaluation.model_validate_json((DEMO_FOLDER / "evaluation.json").read_text())
    assert found.own.pictures == found.stable_diffusion.pictures == 192
    assert found.unseen.pictures == 960
    assert found.unseen.colour_right >= 0.97
    assert found.unseen.kind_right >= 0.97
    assert found.unseen.least_of_a_wording is not None
    assert min(found.unseen.least_of_a_colour, found.unseen.least_of_a_kind, found.unseen.least_of_a_wording) >= 0.9
    assert found.own.colour_right >= 0.97
    assert found.own.kind_right >= 0.9
    assert found.own.white_border_mean >= 0.98
    assert found.stable_diffusion.colour_right >= 0.85
    assert found.stable_diffusion.kind_right >= 0.85
    assert found.measures.colour_right >= 0.99
    assert found.measures.kind_right >= 0.99
    assert found.picture_s <= 0.5
    assert found.load_s <= 0.5
    assert (DEMO_FOLDER / "README.md").read_text() == model_card(found)


def test_it_works_from_any_folder(tmp_path):
    """The weights are found beside the code, not beside whoever calls."""
    code = "from worker.engine.checkpoints.local_checkpoint import find_checkpoint; print(find_checkpoint('demo').path)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert Path(done.stdout.strip()) == DEMO_FOLDER
