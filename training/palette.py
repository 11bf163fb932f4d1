"""The 12 colours and the 4 kinds of shoe that the demo checkpoint knows."""

from typing import Final

Rgb = tuple[int, int, int]

#: sRGB of the upper in even light.
COLOURS: Final[dict[str, Rgb]] = {
    "black": (34, 34, 38),
    "white": (243, 243, 241),
    "grey": (134, 137, 142),
    "brown": (116, 67, 34),
    "tan": (208, 170, 116),
    "red": (203, 26, 36),
    "orange": (242, 122, 20),
    "yellow": (247, 212, 38),
    "green": (28, 132, 62),
    "blue": (38, 108, 228),
    "navy": (27, 38, 98),
    "pink": (247, 152, 190),
}
KINDS: Final = ("sneaker", "high-top", "loafer", "boot")
