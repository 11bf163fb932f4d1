"""Sizes in which pictures are learnt from."""

import math
from collections.abc import Sequence

#: The longer side is at most so many times the shorter one.
_LONGEST = 2.0


def sizes(resolution: int, *, cropped: bool) -> list[tuple[int, int]]:
    """Return widths and heights in pixels: the square alone, where all pictures are cut to it.

    Otherwise those of about as many pixels too, up to twice as long as wide, in whole steps of 64 pixels, or of an
    eighth of a side that is smaller than 512.
    """
    if cropped:
        return [(resolution, resolution)]
    step = 64 if resolution >= 512 else max(8, resolution // 64 * 8)
    found = {(resolution, resolution)}
    for width in range(step, round(resolution * math.sqrt(_LONGEST)) + 1, step):
        height = resolution**2 // width // step * step
        if height and 1 / _LONGEST <= width / height <= _LONGEST:
            found |= {(width, height), (height, width)}
    return sorted(found)


def is_enlarged(size: tuple[int, int], learnt_in: tuple[int, int]) -> bool:
    """Tell whether a picture of a width and height has too few pixels for those in which it is learnt."""
    return size[0] < learnt_in[0] or size[1] < learnt_in[1]


def nearest_size(width: int, height: int, among: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the size whose shape is most like a picture's, so that least of it is cut off."""
    return min(among, key=lambda size: abs(math.log(size[0] / size[1]) - math.log(width / height)))
