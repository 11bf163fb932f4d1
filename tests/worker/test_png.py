"""The picture's file: what is written inside it."""

import pytest
from PIL import Image

from worker.attempt.png import encode_png, parameters_text

REVISION = "sha256:0123456789abcdef" + "0" * 48


@pytest.fixture
def parameters(spec):
    """Return a function that writes the parameters of a job that differs in `values`."""

    def parameters(checkpoint="demo", revision=REVISION, pictures_a_call=None, **values):
        return parameters_text(spec(**values), checkpoint, revision, "0.1.0", pictures_a_call)

    return parameters


def test_parameters_without_a_negative_prompt(parameters):
    assert parameters() == (
        "a red shoe\n"
        "Steps: 4, Sampler: DPM++ 2M, Schedule type: Uniform, CFG scale: 7.5, Seed: 1, Size: 64x64, "
        "Model: demo, RNG: CPU, Version: Nightshift 0.1.0"
    )


def test_parameters_with_a_negative_prompt_and_a_karras_schedule(parameters):
    said = parameters(
        prompt="a shoe, Steps: 3", negative_prompt="blurred, dark", scheduler="dpm++ 2m sde karras", guidance=7
    )
    assert said == (
        "a shoe, Steps: 3\n"
        "Negative prompt: blurred, dark\n"
        "Steps: 4, Sampler: DPM++ 2M SDE, Schedule type: Karras, CFG scale: 7, Seed: 1, Size: 64x64, Model: demo, "
        "RNG: CPU, Version: Nightshift 0.1.0"
    )


@pytest.mark.parametrize(
    ("checkpoint", "fields"),
    [
        ("/models/shoe mix.safetensors", "Model hash: 0123456789, Model: shoe mix"),
        ("/models/folder", "Model: folder"),
        ("stable-diffusion-v1-5/stable-diffusion-v1-5", "Model: stable-diffusion-v1-5"),
        ("/models/a, b.safetensors", 'Model hash: 0123456789, Model: "a, b"'),
        ("/models/v1:final", 'Model: "v1:final"'),
        ('/models/say "a, b"', r'Model: "say \"a, b\""'),
        ("/models/two\nlines", r'Model: "two\nlines"'),
        ("/models/靴, 1", 'Model: "靴, 1"'),
    ],
)
def test_a_models_name_is_quoted_where_it_would_break_the_line(parameters, checkpoint, fields):
    assert f", Size: 64x64, {fields}, RNG: CPU, " in parameters(checkpoint)
    assert parameters(checkpoint).count("\n") == 1


def test_a_commit_of_the_hub_is_no_hash_of_a_file(parameters):
    assert "Model hash" not in parameters("owner/name", revision="0123456789abcdef0123456789abcdef01234567")


def test_how_many_were_made_at_once_is_told_of_where_it_was_more_than_one(parameters):
    assert "a call" not in parameters()
    assert "a call" not in parameters(pictures_a_call=1)
    assert ", Pictures a call: 4, Version: " in parameters(pictures_a_call=4)


def test_a_preset_is_told_of_where_there_is_one(parameters):
    assert "Preset" not in parameters()
    assert ", Preset: fast, " in parameters(preset="fast")


@pytest.mark.parametrize(("value", "written"), [(7.0, "7"), (7.25, "7.25"), (0.0, "0"), (12.125, "12.125")])
def test_guidance_is_written_as_short_as_it_is(parameters, value, written):
    assert f", CFG scale: {written}, " in parameters(guidance=value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("plain", "tEXt"), ("café", "tEXt"), ("靴 и ботинок 👟", "iTXt"), ("two\nlines, one: two", "tEXt")],
)
def test_the_text_in_the_file_reads_back_as_it_was(tmp_path, text, kind):
    content = encode_png(Image.new("RGB", (8, 8), "red"), text)
    assert kind.encode() in content
    (tmp_path / "x.png").write_bytes(content)
    with Image.open(tmp_path / "x.png") as image:
        image.load()
        assert image.info == {"parameters": text}
        assert image.getpixel((0, 0)) == (255, 0, 0)
