"""Sizes in which pictures are learnt from."""

import pytest

from models.training.sizes import nearest_size, sizes


def test_where_all_are_cut_there_is_the_square_alone():
    assert sizes(512, cropped=True) == [(512, 512)]


@pytest.mark.parametrize("resolution", [64, 128, 256, 512, 768, 1024])
def test_sizes_have_about_as_many_pixels_and_lie_on_whole_steps(resolution):
    found = sizes(resolution, cropped=False)
    assert (resolution, resolution) in found
    assert len(found) > 3
    for width, height in found:
        assert width % 8 == height % 8 == 0
        assert (height, width) in found
        assert 0.5 <= width / height <= 2
        assert 0.7 * resolution**2 <= width * height <= resolution**2


def test_a_picture_is_brought_to_the_shape_that_is_most_like_its_own():
    found = sizes(512, cropped=False)
    assert nearest_size(1000, 1000, found) == (512, 512)
    width, height = nearest_size(3000, 2000, found)
    assert width / height == pytest.approx(1.5, rel=0.15)
    assert nearest_size(2000, 3000, found) == (height, width)
    assert nearest_size(9000, 100, found) == max(found, key=lambda size: size[0] / size[1])
