"""What a job may ask for, what a message may carry, and what names mean."""

import math
from pathlib import Path

import diffusers
import pytest
from huggingface_hub.utils._validators import validate_repo_id
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.checkpoints import (
    DEMO,
    STABLE_DIFFUSION_1_5,
    canonical_checkpoint,
    checkpoint_defaults,
    is_hub_id,
    public_name,
)
from models.pictures.names import picture_name
from models.types.errors import CheckpointError
from models.types.job import MAX_KEY, MAX_PROMPT, MAX_SEED
from models.types.schedulers import SCHEDULERS, canonical_name

UID = "0123456789abcdef" * 2

GOOD = [
    {"prompt": ""}, {"prompt": "x" * MAX_PROMPT}, {"prompt": "größe 你好 👟\n"}, {"negative_prompt": "x" * MAX_PROMPT},
    {"seed": 0}, {"seed": MAX_SEED}, {"steps": 1}, {"steps": 500}, {"guidance": 0}, {"guidance": 100.0},
    {"width": 64, "height": 2048}, {"width": 2048, "height": 64}, {"checkpoint": "x" * 1024},
]  # fmt: skip
BAD = [
    {"prompt": "x" * (MAX_PROMPT + 1)}, {"prompt": "a\0b"}, {"prompt": "a\ud800"}, {"negative_prompt": "\0"},
    {"seed": -1}, {"seed": MAX_SEED + 1}, {"seed": 1.5}, {"seed": None},
    {"steps": 0}, {"steps": 501}, {"guidance": -0.1}, {"guidance": 100.1}, {"guidance": math.nan},
    {"guidance": math.inf}, {"width": 56}, {"width": 2056}, {"height": 56}, {"height": 2056}, {"width": 129},
    {"checkpoint": ""}, {"checkpoint": "  "}, {"checkpoint": "x" * 1025}, {"checkpoint": "a\0b"},
    {"scheduler": "Eulr"}, {"scheduler": ""}, {"vae": "x"},
    {"lora": "a:b"}, {"lora": "a:11"}, {"lora": "a:nan"}, {"lora": ":1"}, {"lora": "a, a:2"}, {"lora": "a<b"},
    {"lora": "a\nb"}, {"lora": ", ".join(map(str, range(17)))}, {"lora": 1}, {"lora": [1]},
]  # fmt: skip


@pytest.mark.parametrize("values", GOOD, ids=lambda values: ascii(values)[:40])
def test_values_within_bounds_are_taken_as_they_are(spec, values):
    assert {name: getattr(spec(**values), name) for name in values} == values


@pytest.mark.parametrize("values", BAD, ids=lambda values: ascii(values)[:40])
def test_values_out_of_bounds_are_refused_by_name(spec, values):
    with pytest.raises(ValidationError) as caught:
        spec(**values)
    assert [error["loc"] for error in caught.value.errors()] == [tuple(values)]


@pytest.mark.parametrize(("width", "near"), [(129, 128), (133, 136), (65, 64), (2047, 2048)])
def test_a_size_that_is_no_multiple_of_eight_is_told_the_nearest_that_is(spec, width, near):
    with pytest.raises(ValidationError, match=f"{width} is not a multiple of 8; {near} is the nearest"):
        spec(width=width)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_schedulers_name_is_known_in_any_case_and_spacing(spec, name):
    variants = (name, name.lower(), name.upper(), f"  {name.replace(' ', '   ')}\t")
    assert {spec(scheduler=variant).scheduler for variant in variants} == {name}


@pytest.mark.parametrize("scheduler", SCHEDULERS.values(), ids=lambda scheduler: scheduler.name)
def test_a_scheduler_is_known_by_its_diffusers_class(scheduler):
    assert hasattr(diffusers, scheduler.diffusers_class)
    known = canonical_name(scheduler.diffusers_class.lower())
    assert SCHEDULERS[known].diffusers_class == scheduler.diffusers_class
    # The class alone asks for none of the options.
    assert known == known.removesuffix(" Karras").removesuffix(" SDE" if known.startswith("DPM++ 2M") else "")


def test_a1111_knows_a_scheduler_by_sampler_and_schedule_type():
    plain, karras = SCHEDULERS["DPM++ 2M"], SCHEDULERS["DPM++ 2M Karras"]
    assert (plain.sampler, plain.schedule_type) == ("DPM++ 2M", "Uniform")
    assert (karras.sampler, karras.schedule_type) == ("DPM++ 2M", "Karras")
    assert {s.sampler for s in SCHEDULERS.values()} <= set(SCHEDULERS)


def test_an_unknown_scheduler_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match="no scheduler is called 'Eulr'") as caught:
        canonical_name("Eulr")
    assert str(caught.value).endswith(", ".join(SCHEDULERS))


@pytest.mark.parametrize(
    "name", ["owner/model", "a/b", "runwayml/stable-diffusion-v1-5", "o-w_n/m.v1.5", "Lykon/dreamshaper-8"]
)
def test_a_hub_id_is_recognised(name):
    assert is_hub_id(name)


@pytest.mark.parametrize(
    "name",
    [
        "model", "demo", "/abs/path", "./owner/model", "../model", "~/model", "a/b/c", "a/", "/b", "a//b", "a/..",
        "a/.hidden", ".a/b", "a/b.", "a/b..c", "a b/c", "-a/b", "a/b\n", "größe/modell", "",
        "a--b/c", "a/b--c", "a/b.git", "a/b-", "a-/b", f"a/{'b' * 97}",
    ],
    ids=repr,
)  # fmt: skip
def test_a_path_is_no_hub_id(name):
    assert not is_hub_id(name)


@example(f"{'a' * 96}/{'b' * 96}")
@example(f"{'a' * 97}/b")
@example(f"a/{'b' * 97}")
@given(st.from_regex(r"[ab._-]{1,5}/[ab._-]{1,6}(\.git)?", fullmatch=True))
def test_the_hubs_library_takes_whatever_is_taken_for_a_hub_id(name):
    if is_hub_id(name):
        validate_repo_id(name)


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("demo", "demo"),
        ("owner/model", "owner/model"),
        ("/home/ana/weights/shoes.safetensors", "shoes.safetensors"),
        ("/hub/models--owner--model/snapshots/c0ffee", "owner/model"),
        ("/home/ana/snapshots/c0ffee", "c0ffee"),
    ],
)
def test_what_others_know_a_checkpoint_by_says_nothing_of_where_it_lies(name, public):
    assert public_name(name) == public


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, and the home folder below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def test_a_checkpoint_is_known_by_one_name(here):
    assert canonical_checkpoint(" demo ") == DEMO
    assert canonical_checkpoint("owner/model") == "owner/model"
    assert canonical_checkpoint("runwayml/stable-diffusion-v1-5") == STABLE_DIFFUSION_1_5
    assert canonical_checkpoint(STABLE_DIFFUSION_1_5) == STABLE_DIFFUSION_1_5
    assert canonical_checkpoint("./owner/model") == str(here / "owner" / "model")
    assert canonical_checkpoint("model.safetensors") == str(here / "model.safetensors")
    assert canonical_checkpoint("~/model") == str(here / "home" / "model")
    assert canonical_checkpoint(str(here / "a" / ".." / "model")) == str(here / "model")


@pytest.mark.parametrize("name", ["owner/model", "runwayml/stable-diffusion-v1-5"])
def test_a_folder_that_is_there_wins_over_the_hub(here, name):
    Path(name).mkdir(parents=True)
    assert canonical_checkpoint(name) == str(here / name)


def test_a_name_stays_what_it_is(here):
    for name in ("demo", "owner/model", "runwayml/stable-diffusion-v1-5", "./model", "~/model"):
        once = canonical_checkpoint(name)
        assert canonical_checkpoint(once) == once


def test_defaults_are_stable_diffusions_where_the_folder_says_nothing(here):
    usual = {"width": 512, "height": 512, "steps": 25, "guidance": 7.5, "scheduler": "PNDM"}
    for name in (STABLE_DIFFUSION_1_5, "owner/model", str(here), str(here / "absent"), str(here / "x.safetensors")):
        assert checkpoint_defaults(name).model_dump() == usual
    demo = checkpoint_defaults(DEMO)
    assert (demo.width, demo.height, demo.steps, demo.scheduler) == (128, 128, 12, "DPM++ 2M")


def test_a_folders_own_defaults_are_taken_one_by_one(here):
    Path("nightshift.json").write_text('{"width": 768, "scheduler": "euler a"}')
    found = checkpoint_defaults(str(here))
    assert (found.width, found.height, found.steps, found.scheduler) == (768, 512, 25, "Euler a")
    # The defaults of the current folder are not a hub repository's.
    assert checkpoint_defaults("owner/model").width == 512


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "Invalid JSON"),
        ("[]", "object"),
        ('{"steps": 0}', "steps: Input should be greater than or equal to 1"),
        ('{"width": 100, "scheduler": "Eulr"}', "width: Value error, 100 is not a multiple of 8; 96 is the nearest"),
        ('{"sampler": "LCM"}', "sampler: Extra inputs are not permitted"),
        ("\xff", "Invalid JSON"),
    ],
)
def test_defaults_that_cannot_be_used_are_one_line_that_names_the_file(here, content, words):
    Path("nightshift.json").write_text(content, encoding="latin-1")
    with pytest.raises(CheckpointError) as caught:
        checkpoint_defaults(str(here))
    assert str(caught.value).startswith(f"{here}/nightshift.json cannot be used: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_picture_lies_where_its_numbers_say():
    assert picture_name(1, 17) == "pictures/batch-0001/job-00000017.png"
    assert picture_name(123456, MAX_KEY) == "pictures/batch-123456/job-2147483647.png"
