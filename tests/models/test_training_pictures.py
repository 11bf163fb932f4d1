"""Pictures are learnt from as a person sees them."""

import random

import numpy as np
import pytest
from PIL import Image

from models.training.pictures import read_picture
from models.types.errors import BadInputError

RED, WHITE = [255, 0, 0], [255, 255, 255]


def pixels(file):
    picture = read_picture(file)
    assert picture.mode == "RGB"
    return np.asarray(picture).tolist()


def saved(tmp_path, picture, name="a.png", **options):
    file = tmp_path / name
    picture.save(file, **options)
    return file


def test_what_is_transparent_is_white_and_what_is_so_in_part_lies_on_white(tmp_path):
    hidden = np.array([[[0, 0, 0, 0], [255, 0, 0, 255], [0, 0, 0, 128]]], dtype=np.uint8)
    assert pixels(saved(tmp_path, Image.fromarray(hidden))) == [[WHITE, RED, [127, 127, 127]]]


@pytest.mark.parametrize("mode", ["P", "LA"])
def test_transparency_is_known_in_other_modes(tmp_path, mode):
    shown = Image.fromarray(np.array([[[0, 0, 0, 0], [0, 0, 0, 255]]], dtype=np.uint8)).convert(mode)
    assert pixels(saved(tmp_path, shown)) == [[WHITE, [0, 0, 0]]]


@pytest.mark.parametrize("is_odd", [False, True])
def test_a_photo_stands_as_its_camera_was_held_whatever_else_that_noted(tmp_path, is_odd):
    exif = Image.Exif()
    exif[0x010F] = "the camera's maker"
    # Turned by a quarter: what lies on the left was above.
    exif[0x0112] = 6
    held = Image.new("RGB", (32, 16), "red")
    held.paste("white", (16, 0, 32, 16))
    file = saved(tmp_path, held, "a.jpg", exif=exif, quality=100, subsampling=0)
    if is_odd:
        # The maker's words are under a number that asks for numbers.
        noted = file.read_bytes()
        assert noted.count(b"\x01\x0f\x00\x02") == 1
        file.write_bytes(noted.replace(b"\x01\x0f\x00\x02", b"\x01\x21\x00\x02"))
    found = read_picture(file)
    assert found.size == (16, 32)
    above, below = found.getpixel((8, 4)), found.getpixel((8, 28))
    assert above == pytest.approx(RED, abs=3)
    assert below == pytest.approx(WHITE, abs=3)


def test_grey_of_16_bits_is_as_bright(tmp_path):
    grey = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    assert pixels(saved(tmp_path, Image.fromarray(grey))) == [[[value] * 3 for value in (0, 1, 128, 255)]]


@pytest.mark.parametrize(("mode", "name"), [("RGB", "a.bmp"), ("CMYK", "a.jpg"), ("L", "a.png"), ("P", "a.gif")])
def test_others_are_what_they_are(tmp_path, mode, name):
    assert np.allclose(pixels(saved(tmp_path, Image.new("RGB", (8, 8), "white").convert(mode), name)), 255, atol=2)


# Pillow passes over notes of a camera that are spoiled, and says so.
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_whatever_is_spoiled_is_said_with_its_file(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = saved(tmp_path, Image.new("RGB", (16, 16), "red"), "a.jpg", exif=exif).read_bytes()
    drawn = random.Random(0)
    said = []
    for _ in range(1000):
        spoiled = bytearray(whole)
        for _ in range(drawn.randint(1, 6)):
            spoiled[drawn.randrange(len(whole))] = drawn.randrange(256)
        file = tmp_path / "spoiled.jpg"
        file.write_bytes(spoiled)
        try:
            read_picture(file)
        except BadInputError as error:
            said += error.problems
    assert said
    assert all(one.startswith(str(tmp_path / "spoiled.jpg")) for one in said)
