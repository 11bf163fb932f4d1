"""The data set and the prompts of the demonstration: a colour that no caption of the demo's own training has."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from checks.asked import Asked
from checks.picture import Picture
from checks.registry import select
from models.training.data_set import read_data_set
from training.captions import make_caption
from training.lora.data_set import NAME, write_data_set
from training.lora.prompts import write_new, write_others
from training.lora.sheet import write_sheet
from training.palette import COLOURS


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "olive"
    write_data_set(folder)
    return read_data_set(folder)


def test_olive_drawings_are_olive_and_the_others_are_not(data):
    check = select("colour")
    olive = {one.file: one.caption for one in data.learnt if NAME in one.caption.lower()}
    others = {one.file for one in data.learnt} - set(olive)
    assert len(olive) == 48
    assert len(others) > 100
    asked = Asked(f"{NAME} shoes", 128, 128)

    def is_olive(file):
        with Image.open(file) as opened:
            return all(finding.passed for finding in check.check(Picture(opened.convert("RGB")), asked))

    assert all(map(is_olive, list(olive)[:12]))
    assert sum(map(is_olive, list(others)[:24])) <= 2


def test_each_olive_drawing_has_many_captions_and_others_name_no_colour_too(data):
    captions = Counter(one.file for one in data.learnt if NAME in one.caption.lower())
    assert min(captions.values()) >= 7
    others = [one.caption for one in data.learnt if NAME not in one.caption.lower()]
    assert "" in others
    named = [text for text in others if any(colour in text.lower() for colour in COLOURS)]
    assert 0.5 < len(named) / len(others) < 0.95


def test_prompts_are_of_wordings_that_no_caption_has_and_each_is_its_own(tmp_path, data):
    write_new(tmp_path / "new.jsonl")
    write_others(tmp_path / "others.jsonl")
    new, others = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("new.jsonl", "others.jsonl")
    )
    assert len(new) == len(others) == 48
    assert len({(one["prompt"], one["seed"]) for one in new}) == 48
    assert all(NAME in one["prompt"] for one in new)
    assert not any(NAME in one["prompt"] for one in others)
    known = {one.caption for one in data.learnt}
    assert not known & {one["prompt"] for one in new + others}


def test_a_caption_takes_a_word_that_is_no_colour_of_the_palette():
    rng = np.random.default_rng(3)
    assert all("mauve" in make_caption(rng, "mauve", 0).text.lower() for _ in range(50))


def test_the_sheet_has_the_same_pictures_without_and_with_the_lora_under_each_other(tmp_path):
    files = []
    for number in range(26):
        files.append(tmp_path / f"{number}.png")
        Image.new("RGB", (128, 128), (10 * (number % 13), 200 if number < 13 else 0, 0)).save(files[-1])
    write_sheet(tmp_path / "there" / "sheet.png", files[:13], files[13:])
    with Image.open(tmp_path / "there" / "sheet.png") as sheet:
        assert sheet.size == (12 * 96, 4 * 114)
        seen = [sheet.getpixel((96 * column + 48, 114 * row + 66)) for row in range(4) for column in (0, 11)]
    assert seen[:4] == [(0, 200, 0), (110, 200, 0), (0, 0, 0), (110, 0, 0)]
    assert seen[4:] == [(120, 200, 0), (255, 255, 255), (120, 0, 0), (255, 255, 255)]
