from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from models.checkpoints import STABLE_DIFFUSION_1_5
from models.errors import BadInputError
from models.job import JobSpec
from producer.picture_parameters import known_checkpoints, parse_parameters, read_pictures
from producer.problems import Problems
from worker.png import parameters_text

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
        "scheduler": "DPM++ 2M",
        "guidance": "7",
        "seed": "1",
        "width": "512",
        "height": "640",
        "model": "v1-5",
    }
    assert left == ["Clip skip", "Lora hashes", "a GPU's noise"]


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
