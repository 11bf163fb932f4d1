"""How similar pictures are, over pairs of the same prompt and seed."""

from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.pictures.folder import FolderStore
from models.pictures.names import picture_name
from producer.actions.reports.side_by_side import SameSeed
from producer.actions.reports.similarity import similarities, similarity

NOISE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)


@pytest.fixture
def rows(tmp_path):
    """Return a function that gives a row of pictures, each an array; None for one that was not made."""

    numbers = count(1)

    def one(pixels) -> Any:
        if pixels is None:
            return None
        made = SimpleNamespace(picture=picture_name(1, next(numbers)))
        file = tmp_path / made.picture
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
        return made

    def row(*pictures):
        return SameSeed("a boot", 1, list(map(one, pictures)))

    return row


def test_equal_pictures_are_as_similar_as_can_be():
    found = similarity([(NOISE, NOISE)])
    assert (found.pairs, found.ssim, found.psnr) == (1, 1.0, 60.0)
    assert similarity([]) is None


def test_what_is_nearer_is_more_similar():
    near = similarity([(NOISE, NOISE + 1)])
    far = similarity([(NOISE, 255 - NOISE)])
    # A difference of 1 everywhere is 20 * log10(255) dB.
    assert near.psnr == pytest.approx(48.13, abs=0.01)
    assert far.ssim < 0 < near.ssim < 1


def test_each_variant_is_held_against_the_first_and_what_cannot_be_is_left_out(rows, tmp_path):
    small, looked_at = NOISE[:32], []
    found = similarities(
        [rows(NOISE, NOISE, NOISE + 1, small, NOISE), rows(NOISE, NOISE + 1, None, small, NOISE), rows(*[None] * 5)],
        FolderStore(tmp_path),
        looked_at.append,
    )
    first, twice, once, of_another_size, _ = found
    assert (first, of_another_size) == (None, None)
    assert (twice.pairs, once.pairs) == (2, 1)
    # The mean of a pair that is equal and one that is not; the 5th percentile is near the lesser.
    assert once.ssim < twice.ssim < 1
    assert twice.ssim_p5 == pytest.approx(once.ssim + 0.05 * (1 - once.ssim))
    assert looked_at == [1, 1, 1]


def test_a_picture_that_is_gone_is_left_out(rows, tmp_path):
    row = rows(NOISE, NOISE)
    (tmp_path / row.pictures[1].picture).unlink()
    assert similarities([row], FolderStore(tmp_path)) == [None, None]
    assert similarities([], FolderStore(tmp_path)) == []
