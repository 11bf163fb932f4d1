"""Drawings of shoes on white: the only pictures that the demo checkpoint ever sees.

A shoe is drawn in its own frame: x runs from the heel (0) to the toe (1), y from the ground (0) upwards, both in
lengths of the shoe. A pose (scale, tilt, side, place) brings that frame onto the canvas.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy.interpolate import CubicSpline

from training.palette import COLOURS, KINDS, Rgb

#: Each colour with each kind.
CLASSES: Final = list(itertools.product(COLOURS, KINDS))
#: Width and height of a picture in pixels.
SIZE: Final = 128
#: Drawn this many times as large and averaged down, because Pillow's lines and polygons have hard edges.
_SUPERSAMPLING: Final = 4
_CANVAS: Final = SIZE * _SUPERSAMPLING

_WHITE: Final[Rgb] = (246, 246, 244)
_DARK: Final[Rgb] = (40, 36, 36)
_GUM: Final[Rgb] = (196, 146, 88)
_BRASS: Final[Rgb] = (214, 178, 92)
_BRASS_EDGE: Final[Rgb] = (120, 92, 36)

Points = NDArray[np.float64]


@dataclass(frozen=True)
class _Pose:
    """Where a shoe stands: `points` of its own frame become pixels of the canvas."""

    length: float  # of the canvas
    tilt: float  # radians, toe up
    left: bool  # the toe points left
    centre: tuple[float, float]  # of the canvas
    height: float  # of the shoe, in lengths

    def pixels(self, points: Sequence[tuple[float, float]] | Points) -> list[tuple[float, float]]:
        x, y = np.asarray(points, dtype=float).T
        x, y = x - 0.5, y - self.height / 2
        x, y = x * np.cos(self.tilt) - y * np.sin(self.tilt), x * np.sin(self.tilt) + y * np.cos(self.tilt)
        across = self.centre[0] + (-x if self.left else x) * self.length
        down = self.centre[1] - y * self.length
        return list(zip(across * _CANVAS, down * _CANVAS, strict=True))


class _Sheet:
    """A canvas that draws in the shoe's frame."""

    def __init__(self, pose: _Pose) -> None:
        self.pose = pose
        self.image = Image.new("RGB", (_CANVAS, _CANVAS), (255, 255, 255))
        self._draw = ImageDraw.Draw(self.image)

    def patch(self, outline: Points, fill: Rgb, edge: Rgb | None = None, width: float = 1.2) -> None:
        """Fill a closed outline; `width` of its edge is in pixels of the picture."""
        self._draw.polygon(self.pose.pixels(outline), fill=fill)
        if edge is not None:
            self.line(np.vstack([outline, outline[:2]]), edge, width)

    def line(self, points: Points, colour: Rgb, width: float) -> None:
        """Draw a line with round ends."""
        pixels, thick = self.pose.pixels(points), round(width * _SUPERSAMPLING)
        self._draw.line(pixels, fill=colour, width=thick, joint="curve")
        for x, y in (pixels[0], pixels[-1]):
            self._draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=colour)

    def mask(self, outline: Points) -> Image.Image:
        """Return the inside of a closed outline as a mask."""
        mask = Image.new("L", (_CANVAS, _CANVAS), 0)
        ImageDraw.Draw(mask).polygon(self.pose.pixels(outline), fill=255)
        return mask


def draw_shoe(kind: str, colour: str | Rgb, rng: np.random.Generator) -> Image.Image:
    """Return a drawing of `SIZE` by `SIZE` pixels, RGB: one shoe of that kind and colour, in a pose of `rng`'s choice.

    A colour is one of the palette's, by its name, or sRGB.

    Raises:
        KeyError: if there is no such kind or colour.
    """
    draw, (low, high) = _KINDS[kind]
    height = rng.uniform(low, high)
    tilt = np.radians(rng.normal(0, 1.5) if rng.random() < 0.7 else rng.uniform(-13, 13))
    # What a tilted shoe takes of the width and of the height; the border stays white.
    across = np.cos(tilt) + height * abs(np.sin(tilt))
    down = height * np.cos(tilt) + abs(np.sin(tilt))
    length = min(rng.uniform(0.76, 0.86), 0.86 / across, 0.8 / down)
    pose = _Pose(
        length=length,
        tilt=tilt,
        left=bool(rng.random() < 0.5),
        centre=(0.5 + rng.uniform(-0.015, 0.015), 0.48 + rng.uniform(-0.015, 0.015)),
        height=height,
    )
    sheet = _Sheet(pose)
    shadow = _ground_shadow(sheet)
    draw(sheet, height, _jittered(COLOURS[colour] if isinstance(colour, str) else colour, rng), rng)
    # The shadow lies under the shoe, so it is seen only where the canvas is still white.
    picture = Image.fromarray(np.minimum(np.asarray(sheet.image), np.asarray(shadow)))
    return picture.reduce(_SUPERSAMPLING)


def draw_every_class(seed: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return one drawing of each of `CLASSES`: (48, 3, 128, 128)."""
    rng = np.random.default_rng(seed)
    drawings = [np.asarray(draw_shoe(kind, colour, rng)) for colour, kind in CLASSES]
    return np.stack(drawings).transpose(0, 3, 1, 2)


def _sneaker(sheet: _Sheet, height: float, base: Rgb, rng: np.random.Generator) -> None:
    upper = _join(
        _curve((0.04, 0.08), (0.025, 0.2), (0.06, height * 0.88)),
        _curve((0.06, height * 0.88), (0.15, height * 0.8), (0.28, height * 0.8), (0.40, height)),
        _curve(
            (0.40, height), (0.52, height * 0.82), (0.68, height * 0.58), (0.84, 0.215), (0.955, 0.16), (0.985, 0.08)
        ),
    )
    opening = _join(
        _curve((0.06, height * 0.88), (0.15, height * 0.8), (0.28, height * 0.8), (0.40, height)),
        _curve((0.40, height), (0.26, height * 0.97), (0.06, height * 0.88)),
    )
    _upper(sheet, upper, base)
    _heel_counter(sheet, base, height * 0.62)
    if rng.random() < 0.5:
        sheet.patch(_box((0.34, 0.09), (0.46, 0.09), (0.56, height * 0.62), (0.47, height * 0.66)), _shade(base, 0.74))
    _toe_seam(sheet, base)
    sheet.patch(opening, _shade(base, 0.42), _edge(base), 1.2)
    _laces(sheet, base, (0.47, height * 0.86), (0.71, height * 0.53), 4, rng)
    _rubber_sole(sheet, base, rng)


def _high_top(sheet: _Sheet, height: float, base: Rgb, rng: np.random.Generator) -> None:
    upper = _join(
        _curve((0.04, 0.08), (0.03, 0.3), (0.05, height * 0.6), (0.04, height * 0.97)),
        _curve((0.04, height * 0.97), (0.16, height * 0.93), (0.30, height * 0.94), (0.40, height)),
        _curve((0.40, height), (0.43, height * 0.72), (0.53, height * 0.53), (0.72, 0.26), (0.95, 0.17), (0.985, 0.08)),
    )
    opening = _join(
        _curve((0.04, height * 0.97), (0.16, height * 0.93), (0.30, height * 0.94), (0.40, height)),
        _curve((0.40, height), (0.20, height * 1.0), (0.04, height * 0.97)),
    )
    _upper(sheet, upper, base)
    _heel_counter(sheet, base, 0.26)
    if rng.random() < 0.5:
        band = height * 0.78
        sheet.patch(_box((0.05, band), (0.41, band), (0.42, band - 0.08), (0.055, band - 0.08)), _shade(base, 0.74))
    cap = _WHITE if rng.random() < 0.75 else _shade(base, 0.8)
    toe = _join(
        _curve((0.79, 0.08), (0.79, 0.16), (0.80, 0.232)),
        _curve((0.80, 0.232), (0.95, 0.17), (0.985, 0.08)),
    )
    sheet.patch(toe, cap, _edge(cap), 1.2)
    sheet.patch(opening, _shade(base, 0.42), _edge(base), 1.2)
    _laces(sheet, base, (0.415, height * 0.86), (0.70, 0.29), 6, rng)
    _rubber_sole(sheet, base, rng)


def _loafer(sheet: _Sheet, height: float, base: Rgb, rng: np.random.Generator) -> None:
    upper = _join(
        _curve((0.035, 0.07), (0.02, 0.16), (0.045, height)),
        _curve((0.045, height), (0.18, height * 0.78), (0.34, height * 0.74), (0.50, height * 0.93)),
        _curve((0.50, height * 0.93), (0.66, height * 0.83), (0.86, height * 0.6), (0.965, 0.13), (0.985, 0.06)),
    )
    opening = _join(
        _curve((0.045, height), (0.18, height * 0.78), (0.34, height * 0.74), (0.50, height * 0.93)),
        _curve((0.50, height * 0.93), (0.30, height * 0.98), (0.045, height)),
    )
    _upper(sheet, upper, base)
    strap = _box((0.46, 0.075), (0.60, 0.075), (0.645, height * 0.84), (0.515, height * 0.92))
    sheet.patch(strap, _shade(base, 0.78), _edge(base), 1.0)
    if rng.random() < 0.5:
        buckle = _box((0.535, 0.155), (0.60, 0.15), (0.61, 0.185), (0.545, 0.19))
        sheet.patch(buckle, _BRASS, _BRASS_EDGE, 0.8)
    sheet.line(_curve((0.62, height * 0.62), (0.78, height * 0.56), (0.93, 0.125)), _seam(base), 1.0)
    sheet.patch(opening, _shade(base, 0.42), _edge(base), 1.2)
    _heeled_sole(sheet, 0.055, rng)


def _boot(sheet: _Sheet, height: float, base: Rgb, rng: np.random.Generator) -> None:
    upper = _join(
        _curve((0.04, 0.05), (0.015, 0.22), (0.06, height * 0.5), (0.04, height * 0.98)),
        _curve((0.04, height * 0.98), (0.24, height * 0.96), (0.47, height * 0.98)),
        _curve((0.47, height * 0.98), (0.455, height * 0.62), (0.50, 0.42), (0.70, 0.33), (0.92, 0.25), (0.985, 0.05)),
    )
    _upper(sheet, upper, base)
    opening = _join(
        _curve((0.04, height * 0.98), (0.24, height * 0.96), (0.47, height * 0.98)),
        _curve((0.47, height * 0.98), (0.25, height * 1.015), (0.04, height * 0.98)),
    )
    if rng.random() < 0.7:
        gusset = _box((0.17, height * 0.86), (0.34, height * 0.86), (0.30, 0.4), (0.21, 0.4))
        sheet.patch(gusset, _shade(base, 0.55), _edge(base), 1.0)
    else:
        strap = height * 0.62
        band = _box((0.05, strap), (0.465, strap), (0.465, strap - 0.09), (0.055, strap - 0.09))
        buckle = _box((0.30, strap + 0.015), (0.39, strap + 0.015), (0.39, strap - 0.105), (0.30, strap - 0.105))
        sheet.patch(band, _shade(base, 0.7), _edge(base), 1.0)
        sheet.patch(buckle, _BRASS, _BRASS_EDGE, 0.8)
    sheet.line(_curve((0.62, 0.105), (0.60, 0.22), (0.57, 0.375)), _seam(base), 1.0)
    sheet.line(_curve((0.05, 0.27), (0.14, 0.28), (0.20, 0.105)), _seam(base), 1.0)
    sheet.patch(opening, _shade(base, 0.42), _edge(base), 1.2)
    _heeled_sole(sheet, 0.075, rng)


#: How each kind is drawn, and how tall it is, in lengths.
_KINDS: Final[dict[str, tuple[Callable[[_Sheet, float, Rgb, np.random.Generator], None], tuple[float, float]]]] = {
    "sneaker": (_sneaker, (0.40, 0.46)),
    "high-top": (_high_top, (0.66, 0.76)),
    "loafer": (_loafer, (0.30, 0.35)),
    "boot": (_boot, (0.86, 1.00)),
}


def _upper(sheet: _Sheet, outline: Points, base: Rgb) -> None:
    """Fill the upper: lighter where light from above falls on it, darker towards the sole."""
    mask = sheet.mask(outline)
    left, top, right, bottom = mask.getbbox() or (0, 0, _CANVAS, _CANVAS)
    down = np.linspace(0, 1, bottom - top)[:, None]
    across = np.linspace(0, 1, right - left)[None, :]
    toe = 0.28 if sheet.pose.left else 0.72
    glow = 0.22 * np.exp(-(((across - toe) / 0.2) ** 2) - (((down - 0.62) / 0.2) ** 2))
    light = 1.06 - 0.2 * down + glow
    shaded = np.clip(np.asarray(base) * light[..., None], 0, 255).astype(np.uint8)
    sheet.image.paste(Image.fromarray(shaded), (left, top), mask.crop((left, top, right, bottom)))
    sheet.line(np.vstack([outline, outline[:2]]), _edge(base), 1.4)


def _heel_counter(sheet: _Sheet, base: Rgb, height: float) -> None:
    outline = _join(
        _curve((0.045, 0.08), (0.03, 0.2), (0.05, height)),
        _curve((0.05, height), (0.16, height * 0.88), (0.22, 0.08)),
    )
    sheet.patch(outline, _shade(base, 0.74), _edge(base), 1.0)


def _toe_seam(sheet: _Sheet, base: Rgb) -> None:
    sheet.line(_curve((0.72, 0.09), (0.70, 0.17), (0.735, 0.265)), _seam(base), 1.0)


def _laces(
    sheet: _Sheet,
    base: Rgb,
    top: tuple[float, float],
    bottom: tuple[float, float],
    number: int,
    rng: np.random.Generator,
) -> None:
    """Draw `number` laces across the instep, from `top` down to `bottom`."""
    brightness = sum(base) / 3
    dark = bool(rng.random() < (0.8 if brightness > 200 else 0.15 if brightness > 120 else 0))
    colour = _DARK if dark else _WHITE
    (x0, y0), (x1, y1) = top, bottom
    for place in np.linspace(0, 1, number):
        x, y = x0 + place * (x1 - x0), y0 + place * (y1 - y0)
        lace = np.array([(x - 0.01, y), (x - 0.11, y - 0.06)])
        sheet.line(lace, _edge(base), 3.2)
        sheet.line(lace, colour, 2.2)


def _rubber_sole(sheet: _Sheet, base: Rgb, rng: np.random.Generator) -> None:
    colour = (_WHITE, _GUM, _DARK)[rng.choice(3, p=(0.74, 0.14, 0.12))]
    sole = _join(
        _curve((0.02, 0.1), (0.0, 0.05), (0.02, 0.0)),
        _curve((0.02, 0.0), (0.5, 0.0), (0.9, 0.0), (0.98, 0.03)),
        _curve((0.98, 0.03), (1.0, 0.07), (0.985, 0.115)),
        _curve((0.985, 0.115), (0.75, 0.1), (0.4, 0.1), (0.02, 0.1)),
    )
    sheet.patch(sole, colour, _edge(colour), 1.3)
    sheet.line(_curve((0.015, 0.04), (0.5, 0.036), (0.97, 0.055)), _seam(colour), 0.9)


def _heeled_sole(sheet: _Sheet, thickness: float, rng: np.random.Generator) -> None:
    """Draw a dark leather sole with a heel block, which tells loafers and boots from sneakers."""
    colour = _DARK if rng.random() < 0.8 else (92, 58, 36)
    sole = _join(
        _curve((0.025, thickness + 0.035), (0.015, 0.05), (0.03, 0.0)),
        np.array([(0.03, 0.0), (0.27, 0.0), (0.285, 0.03)]),
        _curve((0.285, 0.03), (0.45, 0.028), (0.6, 0.004), (0.9, 0.004), (0.985, 0.035)),
        _curve((0.985, 0.035), (1.0, 0.05), (0.99, thickness + 0.02)),
        _curve((0.99, thickness + 0.02), (0.6, thickness), (0.3, thickness + 0.01), (0.025, thickness + 0.035)),
    )
    sheet.patch(sole, colour, _shade(colour, 0.7), 1.0)


def _ground_shadow(sheet: _Sheet) -> Image.Image:
    """Return a white canvas with the soft shadow under the shoe."""
    small = _CANVAS // 8
    shadow = Image.new("L", (small, small), 255)
    xs, ys = zip(*sheet.pose.pixels([(0.02, 0.0), (0.98, 0.0)]), strict=True)
    left, right, ground = min(xs) / 8, max(xs) / 8, max(ys) / 8
    ImageDraw.Draw(shadow).ellipse((left + 1, ground - 1.6, right - 1, ground + 2.2), fill=150)
    soft = shadow.filter(ImageFilter.GaussianBlur(1.6)).resize((_CANVAS, _CANVAS), Image.Resampling.BICUBIC)
    return soft.convert("RGB")


def _curve(*points: tuple[float, float]) -> Points:
    """Return a smooth line through `points`."""
    knots = np.array(points, dtype=float)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(knots, axis=0).T))])
    return CubicSpline(along, knots, bc_type="natural")(np.linspace(0, along[-1], 8 * len(points)))


def _box(*corners: tuple[float, float]) -> Points:
    return np.array(corners, dtype=float)


def _join(*parts: Points) -> Points:
    return np.vstack(parts)


def _shade(colour: Rgb, factor: float) -> Rgb:
    return tuple(min(255, round(value * factor)) for value in colour)  # type: ignore[return-value]


def _edge(colour: Rgb) -> Rgb:
    """Return the colour of an outline: dark enough to be seen, on white shoes too."""
    return _shade(colour, 0.55)


def _seam(colour: Rgb) -> Rgb:
    """Return the colour of a seam: darker than the leather, lighter where that is nearly black."""
    return _shade(colour, 0.6) if sum(colour) > 200 else tuple(value + 62 for value in colour)  # type: ignore[return-value]


def _jittered(colour: Rgb, rng: np.random.Generator) -> Rgb:
    """Return a colour near `colour`: no two shoes are dyed alike."""
    factor = rng.uniform(0.95, 1.05)
    return tuple(int(np.clip(value * factor + rng.uniform(-4, 4), 0, 255)) for value in colour)  # type: ignore[return-value]
