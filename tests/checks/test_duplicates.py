import io

import numpy as np
from PIL import Image, ImageChops

from checks.duplicates import Likeness, Limits, Seen, likeness
from checks.picture import Picture
from training.drawing import draw_shoe


def drawing(colour="blue", kind="sneaker", seed=1):
    return draw_shoe(kind, colour, np.random.default_rng(seed))


def as_jpeg(image):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return Image.open(file)


def compare(seen, key, image):
    """Return what is found of a picture, and keep it if it is accepted."""
    return compare_likeness(seen, key, likeness(Picture(image)))


def compare_likeness(seen, key, one):
    found = seen.compare(one)
    if found.passed:
        seen.keep(key, one)
    return found


def test_the_earlier_one_is_kept_and_the_later_one_names_it():
    seen = Seen(Limits())
    first = compare(seen, 7, drawing())
    assert (first.passed, first.figure) == (True, None)
    again = compare(seen, 8, as_jpeg(drawing()))
    assert not again.passed
    assert again.sentence.startswith("job 7 is nearly the same: ")
    assert compare(seen, 9, drawing()).sentence.startswith("job 7 is nearly the same: 0 of ")


def test_a_picture_that_is_moved_by_a_pixel_is_the_same():
    seen = Seen(Limits())
    assert compare(seen, 1, drawing()).passed
    for across, down in ((1, 0), (-1, 1), (0, -1)):
        assert compare(seen, 2, ImageChops.offset(drawing(), across, down)).figure == 0


def test_what_is_kept_of_a_picture_is_as_good_as_the_picture():
    one, other = (likeness(Picture(drawing(seed=seed))) for seed in (1, 2))
    seen, again = Seen(Limits()), Seen(Limits())
    seen.keep(7, one)
    again.keep(7, Likeness.from_bytes(one.to_bytes()))
    for each in (one, other):
        assert seen.compare(each) == again.compare(each)
    assert len(one.to_bytes()) < 50


def test_looking_alone_keeps_nothing():
    seen, one = Seen(Limits()), likeness(Picture(drawing()))
    assert [seen.compare(one).passed for _ in range(2)] == [True, True]


def test_what_was_thrown_out_throws_nothing_else_out():
    def alike(bits):
        """Return a likeness of which so many bits are set."""
        hashes = np.zeros((9, 4), dtype=np.uint64)
        hashes[:, 0] = 2**bits - 1
        return Likeness(hashes, np.zeros(3, dtype=np.float32))

    seen = Seen(Limits(bits=9))
    assert [compare_likeness(seen, bits, alike(bits)).passed for bits in (0, 6, 12)] == [True, False, True]


def test_another_pose_and_another_colour_are_no_duplicates():
    seen = Seen(Limits())
    for key, image in enumerate([drawing(), drawing(seed=2), drawing("red"), drawing(kind="boot")]):
        assert compare(seen, key, image).passed


def test_more_than_fit_at_first_are_all_remembered():
    seen = Seen(Limits(bits=0))
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(60)]
    seen.ROOM = 16
    assert all(compare(seen, key, image).passed for key, image in enumerate(images))
    for key, image in enumerate(images):
        assert compare(seen, -1, image).sentence.startswith(f"job {key} is nearly the same")
