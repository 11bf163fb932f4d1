import json
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from models.checkpoints import STABLE_DIFFUSION_1_5
from models.types.errors import BadInputError
from models.types.job import JobSpec
from producer.prompts.earlier_pictures.a1111 import parse_parameters
from producer.prompts.earlier_pictures.reading import known_checkpoints, read_pictures
from producer.prompts.problems import Problems
from worker.attempt.png import parameters_text

SPEC = {"seed": 7, "steps": 20, "guidance": 7.5, "width": 64, "height": 128, "checkpoint": "demo"}


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt": "a red shoe"},
        {"prompt": "a, b: c\nd", "negative_prompt": "mud: wet,\nrain", "scheduler": "Euler a"},
        {"prompt": "x", "guidance": 7.123456789, "seed": 2**63 - 1, "scheduler": "DPM++ 2M SDE Karras"},
        {"prompt": "", "guidance": 1e-05},
    ],
)
def test_what_a_worker_wrote_is_read_again(changed):
    spec = JobSpec(**{"scheduler": "DDIM", **SPEC, **changed})
    values, left = parse_parameters(parameters_text(spec, "demo", "sha256:00", "1.0"))
    assert values.pop("model") == "demo"
    assert JobSpec(checkpoint="demo", **values) == spec
    assert left == []


def test_what_a1111_wrote():
    values, left = parse_parameters(
        "a shoe\nNegative prompt: mud\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Automatic, CFG scale: 7, "
        'Seed: 1, Size: 512x640, Model hash: 6ce0161689, Model: v1-5, Clip skip: 2, Lora hashes: "a: 1, b: 2"'
    )
    assert values == {
        "prompt": "a shoe",
        "negative_prompt": "mud",
        "steps": "20",
        "scheduler": "DPM++ 2M Karras",
        "guidance": "7",
        "seed": "1",
        "width": "512",
        "height": "640",
        "model": "v1-5",
    }
    assert left == ["Clip skip", "a GPU's noise"]


@pytest.mark.parametrize(
    ("said", "scheduler", "left"),
    [
        ("Sampler: DPM++ 2M, Schedule type: Uniform", "DPM++ 2M", []),
        ("Sampler: DPM++ 2M, Schedule type: Karras", "DPM++ 2M Karras", []),
        ("Sampler: DPM++ 2M, Schedule type: Automatic", "DPM++ 2M Karras", []),
        ("Sampler: Euler, Schedule type: Automatic", "Euler", []),
        ("Sampler: DPM++ 2M Karras", "DPM++ 2M Karras", []),
        ("Sampler: DPM++ 2M", "DPM++ 2M", []),
        ("Sampler: Euler, Schedule type: Exponential", "Euler", ["Schedule type Exponential"]),
    ],
)
def test_schedules_of_a1111(said, scheduler, left):
    values, told = parse_parameters(f"a shoe\nSteps: 20, {said}, Seed: 1, RNG: CPU")
    assert (values["scheduler"], told) == (scheduler, left)


TEMPLATES = [
    "Template: {red|blue} shoe",
    "Template: a\nb: 1, c: 2, d: 3",
    "Negative Template: x\nTemplate: y",
    "Template:",
]


@pytest.mark.parametrize("behind", TEMPLATES)
@pytest.mark.parametrize("prompt", ["red shoe", "red\nTemplate: shoe"])
def test_templates_behind_the_settings_are_passed_over(behind, prompt):
    values, _ = parse_parameters(f"{prompt}\nNegative prompt: wet\nSteps: 20, Sampler: Euler, Seed: 1\n{behind}")
    assert (values["prompt"], values["negative_prompt"], values["seed"]) == (prompt, "wet", "1")


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "hostile",
    [" " * 500_000, "a " * 200_000, "a:" * 200_000, '"' * 300_000, 'a:"b"c' * 90_000, '"\\' * 200_000, ", " * 200_000],
)
def test_no_text_is_slow_to_read(hostile):
    for text in (hostile, f"a: {hostile}", f'Steps: 1, a: "{hostile}', f"x\n{hostile}\nTemplate: y"):
        with suppress(ValueError):
            parse_parameters(text)


def png(path: Path, parameters: str | None) -> str:
    info = PngInfo()
    if parameters is not None:
        info.add_text("parameters", parameters)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return str(path)


SETTINGS = "Steps: 20, Sampler: Euler, Seed: 1, Size: 64x64, Model: {}, RNG: CPU"


def read(*sources: str, checkpoints=("demo", STABLE_DIFFUSION_1_5), named: bool = False):
    warnings: list[str] = []
    problems = Problems()
    requests = list(read_pictures(sources, checkpoints, problems, warnings.append, named=named))
    problems.refuse()
    return requests, warnings


def test_a_preset_settles_what_the_picture_says_otherwise(nightshift, tmp_path):
    png(tmp_path / "a.png", f"a shoe\n{SETTINGS.format('demo')}")
    asked = ("enqueue", "--from", tmp_path / "a.png", "--dry-run")
    as_it_was, by_preset = (nightshift.producer(*asked, *more).stdout for more in ((), ("--preset", "turbo")))
    assert "5 steps, UniPC" in by_preset
    assert "5 steps, UniPC" not in as_it_was


def test_a_folder_is_read_by_name(tmp_path):
    for name in ("b", "a"):
        png(tmp_path / f"{name}.png", f"{name} shoe\n{SETTINGS.format('demo')}")
    (tmp_path / "notes.txt").write_text("no picture")
    requests, warnings = read(str(tmp_path))
    assert [request.values["prompt"] for request in requests] == ["a shoe", "b shoe"]
    assert [request.origin for request in requests] == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert {request.values["checkpoint"] for request in requests} == {"demo"}
    assert warnings == []


def test_the_checkpoint_is_known_by_its_name(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "other.safetensors").touch()
    known = known_checkpoints("demo", [tmp_path, tmp_path / "nowhere"])
    for name, checkpoint in (
        ("stable-diffusion-v1-5", STABLE_DIFFUSION_1_5),
        ("own", str(tmp_path / "own")),
        ("other", str(tmp_path / "other.safetensors")),
    ):
        picture = png(tmp_path / "p.png", f"x\n{SETTINGS.format(name)}")
        (request,), _ = read(picture, checkpoints=known)
        assert request.values["checkpoint"] == checkpoint


def test_one_that_is_not_known_has_to_be_named(tmp_path):
    picture = png(tmp_path / "p.png", f"x\n{SETTINGS.format('elsewhere')}, Clip skip: 2")
    with pytest.raises(BadInputError, match="a checkpoint called 'elsewhere', which is not known here; name it with"):
        read(picture)
    (request,), warnings = read(picture, named=True)
    assert "checkpoint" not in request.values
    assert warnings == [f"{picture}: made with Clip skip, which a job here cannot ask for"]


def test_every_picture_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    whole = Path(png(tmp_path / "whole.png", f"{'x' * 99}\n{SETTINGS.format('demo')}")).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:60])
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.jpg")
    sources = {
        str(tmp_path / "nope.png"): "there is no such file",
        str(tmp_path / "text.png"): "is no PNG file",
        str(tmp_path / "photo.jpg"): "is no PNG file",
        str(tmp_path / "empty"): "has no PNG file in it",
        png(tmp_path / "bare.png", None): "has no parameters in it",
        png(tmp_path / "odd.png", "a shoe, red"): "end with no line of settings",
        str(tmp_path / "cut.png"): "",
    }
    with pytest.raises(BadInputError) as caught:
        read(*sources)
    assert len(caught.value.problems) == len(sources)
    for problem, (path, said) in zip(caught.value.problems, sources.items(), strict=True):
        assert problem.startswith(f"{path}: ")
        assert said in problem


def comfy():
    wired = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}
    nodes = {
        "3": (
            "KSampler",
            wired | {"seed": 7, "steps": 20, "cfg": 7.5, "sampler_name": "dpmpp_2m", "scheduler": "karras"},
        ),
        "4": ("CheckpointLoaderSimple", {"ckpt_name": "sd\\\\demo.safetensors"}),
        "5": ("EmptyLatentImage", {"width": 512, "height": 768, "batch_size": 1}),
        "6": ("CLIPTextEncode", {"text": "a red shoe"}),
        "7": ("CLIPTextEncode", {"text": "wet"}),
    }
    links = [[1, 4, 0, 3, 0, "MODEL"], [2, 6, 0, 3, 1, "CONDITIONING"], [3, 7, 0, 3, 2, "CONDITIONING"]]
    prompt = {number: {"class_type": kind, "inputs": inputs} for number, (kind, inputs) in nodes.items()}
    return {"prompt": json.dumps(prompt), "workflow": json.dumps({"links": links})}


INVOKE = {
    "positive_prompt": "a red shoe",
    "negative_prompt": "wet",
    "scheduler": "dpmpp_2m_k",
    "seed": 7,
    "steps": 20,
    "cfg_scale": 7.5,
    "width": 512,
    "height": 768,
    "model": {"model_name": "demo"},
}
FOOOCUS = {
    "prompt": "a red shoe",
    "negative_prompt": "wet",
    "sampler": "dpmpp_2m",
    "scheduler": "karras",
    "seed": "7",
    "steps": 20,
    "guidance_scale": 7.5,
    "resolution": "(512, 768)",
    "base_model": "demo",
    "base_model_hash": "abc",
}
NOVEL = {"uc": "wet", "sampler": "k_dpmpp_2m", "seed": 7, "steps": 20, "scale": 7.5, "width": 512, "height": 768}
OTHERS = {
    "ComfyUI": comfy(),
    "InvokeAI": {"invokeai_metadata": json.dumps(INVOKE)},
    "Fooocus": {"parameters": json.dumps(FOOOCUS), "fooocus_scheme": "fooocus"},
    "NovelAI": {
        "Software": "NovelAI",
        "Source": "Stable Diffusion 4BDE2A90",
        "Description": "a red shoe",
        "Comment": json.dumps(NOVEL),
    },
}


def png_of(path: Path, texts: dict[str, str], size=(512, 768)) -> str:
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    Image.new("RGB", size).save(path, pnginfo=info)
    return str(path)


@pytest.mark.parametrize("program", OTHERS)
def test_pictures_of_other_programs_are_read(tmp_path, program):
    picture = png_of(tmp_path / "p.png", OTHERS[program])
    (request,), (warning,) = read(picture, named=True)
    spec = {name: str(value) for name, value in request.values.items()}
    assert spec.pop("checkpoint", "demo") == "demo"
    assert spec == {
        "prompt": "a red shoe",
        "negative_prompt": "wet",
        "steps": "20",
        "guidance": "7.5",
        "seed": "7",
        "width": "512",
        "height": "768",
        "scheduler": "DPM++ 2M" + ("" if program == "NovelAI" else " Karras"),
    }
    assert f"the noise of {program}" in warning


@pytest.mark.parametrize(
    ("program", "texts"),
    [
        ("ComfyUI", {"workflow": "{}"}),
        ("ComfyUI", {"prompt": comfy()["prompt"], "workflow": "{}"}),
        ("ComfyUI", {"prompt": "[", "workflow": "["}),
        ("ComfyUI", {"prompt": '{"1": {"class_type": 1, "inputs": []}}', "workflow": '{"links": [[1]]}'}),
        ("InvokeAI", {"invokeai_metadata": "{}"}),
        ("InvokeAI", {"invokeai_metadata": "[]"}),
        ("InvokeAI", {"sd-metadata": '{"image": 1}'}),
        ("InvokeAI", {"Dream": '"a shoe"'}),
        ("NovelAI", {"Software": "NovelAI", "Comment": "[]", "Source": "x", "Description": "a"}),
        ("SwarmUI", {"parameters": json.dumps({"sui_image_params": {"prompt": "red shoe"}})}),
        ("Fooocus", {"parameters": json.dumps({"base_model": "x"})}),
    ],
)
def test_one_that_cannot_be_read_names_its_maker(tmp_path, program, texts):
    picture = png_of(tmp_path / "p.png", texts)
    with pytest.raises(BadInputError) as caught:
        read(picture)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{picture}: was made by {program}, and what it was made with cannot be read here")
