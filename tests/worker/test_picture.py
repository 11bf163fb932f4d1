"""The picture's file: what is written inside it, and that it is there whole or not at all."""

from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image

from models.errors import StorageError
from models.pictures import picture_path
from worker.picture import asides, encode_png, parameters_text, put_in_place, write_aside

REVISION = "sha256:0123456789abcdef" + "0" * 48


@pytest.fixture
def parameters(spec):
    """Return a function that writes the parameters of a job that differs in `values`."""

    def parameters(checkpoint="demo", revision=REVISION, **values):
        return parameters_text(spec(**values), checkpoint, revision, "0.1.0")

    return parameters


def test_parameters_without_a_negative_prompt(parameters):
    assert parameters() == (
        "a red shoe\n"
        "Steps: 6, Sampler: DPM++ 2M, CFG scale: 7.5, Seed: 1, Size: 128x128, Model: demo, RNG: CPU, "
        "Version: Nightshift 0.1.0"
    )


def test_parameters_with_a_negative_prompt_and_a_karras_schedule(parameters):
    said = parameters(
        prompt="a shoe, Steps: 3", negative_prompt="blurred, dark", scheduler="dpm++ 2m sde karras", guidance=7
    )
    assert said == (
        "a shoe, Steps: 3\n"
        "Negative prompt: blurred, dark\n"
        "Steps: 6, Sampler: DPM++ 2M SDE, Schedule type: Karras, CFG scale: 7, Seed: 1, Size: 128x128, Model: demo, "
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
    assert f", Size: 128x128, {fields}, RNG: CPU, " in parameters(checkpoint)
    assert parameters(checkpoint).count("\n") == 1


def test_a_commit_of_the_hub_is_no_hash_of_a_file(parameters):
    assert "Model hash" not in parameters("owner/name", revision="0123456789abcdef0123456789abcdef01234567")


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
        assert image.text == {"parameters": text}
        assert image.getpixel((0, 0)) == (255, 0, 0)


def write_picture(path, content):
    aside = write_aside(path, content, 7)
    try:
        put_in_place(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def test_a_picture_is_written_with_its_folders(tmp_path):
    path = tmp_path / picture_path(12, 345)
    write_picture(path, b"content")
    assert path.relative_to(tmp_path) == Path("pictures", "batch-0012", "job-00000345.png")
    assert path.read_bytes() == b"content"
    assert [p.name for p in path.parent.iterdir()] == ["job-00000345.png"]


def test_a_picture_that_is_made_again_takes_the_place_of_the_first(tmp_path):
    for content in (b"first", b"second"):
        write_picture(tmp_path / "x.png", content)
    assert (tmp_path / "x.png").read_bytes() == b"second"


def test_a_file_where_the_folder_should_be_is_an_error_and_stays(tmp_path):
    (tmp_path / "pictures").write_text("in the way")
    with pytest.raises(StorageError, match=r"pictures/x.png cannot be written"):
        write_picture(tmp_path / "pictures" / "x.png", b"content")
    assert [p.name for p in tmp_path.iterdir()] == ["pictures"]
    assert (tmp_path / "pictures").read_text() == "in the way"


def test_a_folder_where_the_picture_should_be_is_an_error_and_leaves_nothing_behind(tmp_path):
    (tmp_path / "x.png").mkdir()
    with pytest.raises(StorageError):
        write_picture(tmp_path / "x.png", b"content")
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full for a disk that is full")
def test_a_full_disk_leaves_the_old_picture_and_no_half_of_the_new_one(tmp_path):
    path = tmp_path / "x.png"
    write_picture(path, b"first")
    # Writing goes through the link to a device that is always full.
    (tmp_path / ".x.png.7").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"No space left on device.*free some space"):
        write_picture(path, b"second")
    assert path.read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


def test_what_attempts_wrote_aside_is_found_by_their_numbers_and_nothing_else_is(tmp_path):
    wrote = {attempt: write_aside(tmp_path / picture_path(1, attempt), b"x", attempt) for attempt in (3, 14)}
    write_picture(tmp_path / picture_path(1, 5), b"x")
    (tmp_path / "pictures" / "batch-0001" / ".job-00000005.png.swp").write_text("an editor's")
    (tmp_path / "pictures" / ".DS_Store").write_text("the Finder's")
    assert asides(tmp_path) == wrote


def test_the_version_that_stands_in_a_picture_is_the_programs():
    from worker.attempt import _VERSION

    assert version("nightshift") == _VERSION
