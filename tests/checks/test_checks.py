"""Each check accepts a good drawing and sees what it is there for."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from checks.asked import Asked
from checks.picture import Picture
from checks.registry import DUPLICATES, SETS, select
from training.drawing import SIZE, draw_shoe

#: Those of the set that look at one picture.
ALONE = [check for check in SETS["product"] if check != DUPLICATES]
ASKED = Asked("a professional photo of blue casual shoes on white background", SIZE, SIZE)


def drawing(colour="blue", kind="sneaker", seed=1):
    return draw_shoe(kind, colour, np.random.default_rng(seed))


def on_white(image, box):
    sheet = Image.new("RGB", image.size, "white")
    sheet.paste(image, box)
    return sheet


def enlarged(image):
    return image.crop((0, SIZE // 4, SIZE // 2, SIZE * 3 // 4)).resize(image.size)


def two(image):
    half = image.resize((SIZE // 2, SIZE // 2))
    sheet = on_white(half.resize(image.size), (SIZE, SIZE))
    sheet.paste(half, (0, SIZE // 4))
    sheet.paste(half, (SIZE // 2, SIZE // 4))
    return sheet


def found(image, check, asked=ASKED):
    (finding,) = select(check).check(in_file(image), asked)
    return finding


def in_file(image):
    file = io.BytesIO()
    image.convert("RGB").save(file, "PNG")
    return Picture(image, len(file.getvalue()))


@pytest.mark.parametrize("kind", ["sneaker", "high-top", "loafer", "boot"])
@pytest.mark.parametrize("colour", ["blue", "white", "black", "tan"])
def test_a_good_drawing_passes_all(colour, kind):
    asked = Asked(f"a photo of {colour} shoes on white background", SIZE, SIZE)
    findings = select("shoes").check(in_file(drawing(colour, kind)), asked)
    assert [finding.check for finding in findings] == ALONE
    assert [finding for finding in findings if not finding.passed] == []


SPOILT = {
    "size": lambda image: image.resize((SIZE, SIZE // 2)),
    "file": lambda image: Image.new("RGB", image.size, (180, 90, 90)),
    "black": lambda image: Image.new("RGB", image.size, (5, 5, 5)),
    "flat": lambda image: Image.new("RGB", image.size, (180, 90, 90)),
    "background": lambda image: image.point(lambda value: value * 0.8),
    "fill": lambda image: on_white(image.resize((20, 20)), (54, 54)),
    "centre": lambda image: on_white(image, (SIZE // 4, SIZE // 4)),
    "edge": enlarged,
    "objects": two,
    "colour": lambda image: drawing("red"),
    "sharpness": lambda image: image.filter(ImageFilter.GaussianBlur(3)),
}


@pytest.mark.parametrize("check", ALONE)
def test_what_is_spoilt_is_rejected_with_a_figure_and_a_sentence(check):
    finding = found(SPOILT[check](drawing()), check)
    assert not finding.passed
    assert finding.figure is not None
    assert finding.sentence


def test_an_empty_picture_has_no_subject():
    empty = Image.new("RGB", (SIZE, SIZE), "white")
    assert found(empty, "objects").figure == 0
    for check in ("centre", "colour"):
        finding = found(empty, check)
        assert (finding.figure, finding.passed, finding.sentence) == (None, False, "there is no subject")


def test_a_light_grey_background_counts_where_that_is_said():
    grey = drawing().point(lambda value: value * 0.8)
    assert not found(grey, "background").passed
    assert found(grey, "background.grey=true").passed
    assert not found(Image.new("RGB", (SIZE, SIZE), (200, 170, 170)), "background.grey=true").passed


def test_colour_is_not_judged_where_none_is_asked_for():
    finding = found(drawing(), "colour", Asked("a photo of shoes on white background", SIZE, SIZE))
    assert (finding.figure, finding.passed) == (None, True)


def test_the_colour_of_an_attribute_decides():
    asked = Asked("a red-letter day", SIZE, SIZE, {"colour": "blue"})
    assert found(drawing(), "colour", asked).passed
    assert not found(drawing(), "colour", Asked("a red day", SIZE, SIZE)).passed


def test_the_background_does_not_run_into_a_white_subject_through_a_gap_of_its_outline():
    image = Image.new("RGB", (SIZE, SIZE), "white")
    pen = ImageDraw.Draw(image)
    pen.rectangle((32, 32, 96, 96), outline="black")
    pen.line((60, 32, 61, 32), fill="white")
    assert Picture(image).subject.sum() == pytest.approx(65 * 65, abs=4)
    pen.rectangle((50, 32, 80, 96), fill="white")
    assert Picture(image).subject.sum() < 1_000


def test_the_sole_of_a_shoe_does_not_decide_its_colour():
    image = Image.new("RGB", (SIZE, SIZE), "white")
    pen = ImageDraw.Draw(image)
    pen.rectangle((30, 20, 98, 89), fill=(203, 26, 36))
    pen.rectangle((30, 90, 98, 119), fill=(34, 34, 38))
    asked = Asked("a shoe with brown laces, red", SIZE, SIZE)
    by_check = {finding.check: finding for finding in select("shoes").check(Picture(image), asked)}
    assert by_check["colour"].figure == 1
    # Of any other product all counts, and nothing is known of its parts.
    (of_a_product,) = select("colour").check(Picture(image), Asked("red", SIZE, SIZE))
    assert of_a_product.figure == pytest.approx(7 / 9, abs=0.03)
    assert found(image, "colour", asked).figure == 0


@pytest.mark.parametrize("size", [(64, 64), (512, 384), (2048, 64)])
def test_any_size_is_looked_at(size):
    image = drawing().resize(size)
    asked = Asked("blue shoes", *size)
    assert len(select("product").check(Picture(image), asked)) == len(ALONE)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_any_mode_is_looked_at(mode):
    assert found(drawing().convert(mode), "background").passed
