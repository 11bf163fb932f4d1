"""How often each check is right, on pictures whose truth is known: `python -m benchmarks.checks`.

Drawings of shoes as the demo's training makes them, and the 192 of the demo's pictures that the README shows, are good;
as many drawings are spoilt in each of several ways. A check is right where it rejects what was spoilt in its way and
accepts what is good. Prompts are those that the demo is evaluated with, which name colours of other things, too. Prints
a table, and JSON last; the exit status is 1 where a check of which that is promised is right less than 97 times of 100.
"""

import argparse
import io
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter

from checks.asked import Asked
from checks.duplicates import Likeness, Seen, likeness
from checks.picture import Picture
from checks.registry import DUPLICATES, Selection, select
from training.drawing import CLASSES, SIZE, draw_shoe
from training.palette import COLOURS
from training.wordings import BACKGROUNDS, USUAL

#: Earlier pictures among which one is looked for.
AMONG = 100_000
SHEET = Path(__file__).parent.parent / "docs" / "demo.png"
PROMISED = {"colour", "background", "centre", DUPLICATES}
LEAST_RIGHT = 0.97
WHITE = (255, 255, 255)
#: Colours that are told apart by people as well: none of them is a shade of another one.
_UNLIKE = {
    "black": ("red", "yellow", "green"),
    "white": ("red", "blue", "brown"),
    "grey": ("red", "green", "orange"),
    "brown": ("blue", "pink", "green"),
    "tan": ("blue", "red", "black"),
    "red": ("blue", "green", "yellow"),
    "orange": ("blue", "green", "white"),
    "yellow": ("red", "blue", "black"),
    "green": ("red", "pink", "orange"),
    "blue": ("red", "yellow", "green"),
    "navy": ("red", "tan", "green"),
    "pink": ("green", "blue", "black"),
}

_Rng = np.random.Generator
_Spoil = Callable[[Image.Image, _Rng], Image.Image]


def _blurred(image: Image.Image, rng: _Rng) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(2.0, 5.0)))


def _shifted(image: Image.Image, rng: _Rng) -> Image.Image:
    """Put a smaller shoe off the middle."""
    side = round(0.55 * SIZE)
    far, angle = rng.uniform(0.24, 0.34) * SIZE, rng.uniform(0, 2 * np.pi)
    sheet = Image.new("RGB", image.size, WHITE)
    middle = (SIZE - side) / 2
    place = round(middle + far * np.cos(angle)), round(middle + far * np.sin(angle))
    sheet.paste(image.resize((side, side), Image.Resampling.LANCZOS), place)
    return sheet


def _cropped(image: Image.Image, rng: _Rng) -> Image.Image:
    """Cut through the shoe on one side or more, and bring what is left to the old size."""
    shoe = ImageChops.difference(image, Image.new("RGB", image.size, WHITE)).getbbox()
    assert shoe is not None
    left, _, right, _ = shoe
    cut = round(rng.uniform(0.15, 0.35) * (right - left))
    box = (left + cut, 0, SIZE, SIZE) if rng.random() < 0.5 else (0, 0, right - cut, SIZE)
    return image.crop(box).resize(image.size, Image.Resampling.LANCZOS)


def _tinted(image: Image.Image, rng: _Rng) -> Image.Image:
    """Give the whole picture a cast."""
    cast = np.ones(3)
    cast[rng.integers(3)] = rng.uniform(0.75, 0.92)
    return Image.fromarray((np.asarray(image) * cast).astype(np.uint8))


def _on_grey(image: Image.Image, rng: _Rng) -> Image.Image:
    return Image.fromarray((np.asarray(image) * rng.uniform(0.5, 0.9)).astype(np.uint8))


def _black(image: Image.Image, rng: _Rng) -> Image.Image:
    return Image.fromarray(rng.integers(0, 6, (SIZE, SIZE, 3), dtype=np.uint8))


def _flat(image: Image.Image, rng: _Rng) -> Image.Image:
    return Image.new("RGB", image.size, tuple(rng.integers(20, 256, 3).tolist()))


def _two(image: Image.Image, rng: _Rng) -> Image.Image:
    """Put two shoes side by side, each whole."""
    half = image.resize((SIZE // 2, SIZE // 2), Image.Resampling.LANCZOS)
    sheet = Image.new("RGB", image.size, WHITE)
    down = SIZE // 4 + rng.integers(-10, 11, 2)
    sheet.paste(half, (0, int(down[0])))
    sheet.paste(half, (SIZE // 2, int(down[1])))
    return sheet


def _doubled(image: Image.Image, rng: _Rng) -> Image.Image:
    """Return what people would call the same picture: saved as JPEG, a little lighter, moved by a pixel or scaled."""
    match rng.integers(4):
        case 0:
            file = io.BytesIO()
            image.save(file, "JPEG", quality=int(rng.integers(60, 95)))
            return Image.open(file).convert("RGB")
        case 1:
            return ImageEnhance.Brightness(image).enhance(rng.uniform(0.97, 1.03))
        case 2:
            return ImageChops.offset(image, int(rng.integers(-1, 2)), 1)
        case _:
            small = image.resize((SIZE * 3 // 4, SIZE * 3 // 4), Image.Resampling.LANCZOS)
            return small.resize(image.size, Image.Resampling.LANCZOS)


def _tiny(image: Image.Image, rng: _Rng) -> Image.Image:
    side = round(rng.uniform(0.1, 0.25) * SIZE)
    sheet = Image.new("RGB", image.size, WHITE)
    sheet.paste(image.resize((side, side), Image.Resampling.LANCZOS), ((SIZE - side) // 2, (SIZE - side) // 2))
    return sheet


#: How a picture is spoilt, and the check that is to see it.
SPOILT: dict[str, tuple[_Spoil, str]] = {
    "blurred": (_blurred, "sharpness"),
    "shifted": (_shifted, "centre"),
    "cropped": (_cropped, "edge"),
    "tinted": (_tinted, "background"),
    "on grey": (_on_grey, "background"),
    "black": (_black, "black"),
    "flat": (_flat, "flat"),
    "two objects": (_two, "objects"),
    "tiny": (_tiny, "fill"),
    "empty": (_flat, "file"),
}


def drawings(count: int, seed: int) -> Iterator[tuple[Image.Image, Asked, str, str]]:
    """Yield drawings, each with a prompt that asks for it, its colour and its kind."""
    rng = np.random.default_rng(seed)
    wordings = [*USUAL, *BACKGROUNDS]
    for colour, kind in itertools.islice(itertools.cycle(CLASSES), count):
        prompt = str(rng.choice(wordings)).format(colour=colour, kind=kind)
        yield draw_shoe(kind, colour, rng), Asked(prompt, SIZE, SIZE), colour, kind


def made_by_the_demo() -> Iterator[tuple[Image.Image, Asked]]:
    """Yield the pictures of the README's sheet, whose columns are the colours; they were made as they are asked for."""
    with Image.open(SHEET) as opened:
        sheet = opened.convert("RGB")
    for top in range(0, sheet.height, SIZE):
        for column, colour in enumerate(COLOURS):
            box = (column * SIZE, top, (column + 1) * SIZE, top + SIZE)
            yield sheet.crop(box), Asked(f"a photo of {colour} shoes on white background", SIZE, SIZE)


def main() -> None:
    """Measure every check and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--pictures", type=int, default=240, help="of each kind")
    parser.add_argument("--checks", default="shoes", help="the set whose limits are measured")
    parsed = parser.parse_args()
    count, selection = parsed.pictures, select(parsed.checks)
    colour_alone = Selection({"colour": selection.limits["colour"]})
    good = list(drawings(count, seed=1))
    rng = np.random.default_rng(2)
    rejected: dict[str, list[bool]] = {}
    for image, asked, _, _ in good:
        for finding in selection.check(_in_file(image), asked):
            rejected.setdefault(finding.check, []).append(not finding.passed)
    made: dict[str, list[bool]] = {}
    for image, asked in made_by_the_demo():
        for finding in selection.check(_in_file(image), asked):
            made.setdefault(finding.check, []).append(not finding.passed)
    accepted: dict[tuple[str, str], list[bool]] = {}
    for name, (spoil, check) in SPOILT.items():
        alone = select(check)
        for image, asked, _, _ in drawings(count, seed=3):
            (finding,) = alone.check(_in_file(spoil(image, rng)), asked)
            accepted.setdefault((check, name), []).append(finding.passed)
    for image, asked, colour, kind in drawings(count, seed=4):
        other = str(rng.choice(_UNLIKE[colour]))
        (finding,) = colour_alone.check(Picture(draw_shoe(kind, other, rng)), asked)
        accepted.setdefault(("colour", "another colour"), []).append(finding.passed)
        wrong = replace(asked, width=2 * SIZE)
        (finding,) = select("size").check(Picture(image), wrong)
        accepted.setdefault(("size", "another size"), []).append(finding.passed)
    rejected[DUPLICATES], accepted[DUPLICATES, "doubled"] = _duplicates([image for image, *_ in good], rng)
    made[DUPLICATES], _ = _duplicates([image for image, _ in made_by_the_demo()], rng)
    by_side = {side: 1000 * _seconds_of([image for image, *_ in good[:20]], side) for side in (SIZE, 512)}
    _print(rejected, made, accepted, count, by_side, 1000 * _seconds_among(AMONG, rng))


def _in_file(image: Image.Image) -> Picture:
    file = io.BytesIO()
    image.save(file, "PNG")
    return Picture(image, len(file.getvalue()))


def _duplicates(images: list[Image.Image], rng: _Rng) -> tuple[list[bool], list[bool]]:
    """Return which different drawings were called the same, and which same ones were not."""
    seen = select(DUPLICATES).seen()
    assert isinstance(seen, Seen)
    different = []
    for number, image in enumerate(images):
        one = likeness(Picture(image))
        different.append(not seen.compare(one).passed)
        if not different[-1]:
            seen.keep(number, one)
    same = [seen.compare(likeness(Picture(_doubled(image, rng)))).passed for image in images]
    return different, same


def _seconds_of(images: list[Image.Image], side: int) -> float:
    """Return how long all that is looked at in one picture of this size takes."""
    selection, asked = select("shoes"), Asked("blue shoes", side, side)
    sized = [image.resize((side, side)) for image in images]
    begun = time.perf_counter()
    for image in sized:
        picture = Picture(image)
        selection.check(picture, asked)
        likeness(picture)
    return (time.perf_counter() - begun) / len(sized)


def _seconds_among(count: int, rng: _Rng) -> float:
    """Return how long one picture takes to be looked for among so many of the same colour."""
    seen = select(DUPLICATES).seen()
    assert isinstance(seen, Seen)
    colour = np.zeros(3, dtype=np.float32)
    hashes = rng.integers(0, 2**64, (count, 9, 4), dtype=np.uint64)
    for key in range(count):
        seen.keep(key, Likeness(hashes[key], colour))
    begun = time.perf_counter()
    seen.compare(Likeness(hashes[-1], colour))
    return time.perf_counter() - begun


def _print(
    rejected: dict[str, list[bool]],
    made: dict[str, list[bool]],
    accepted: dict[tuple[str, str], list[bool]],
    count: int,
    picture_ms: dict[int, float],
    among_ms: float,
) -> None:
    print(f"{'check':14}{'spoilt':18}{'false accepts':>15}{'false rejects':>15}{'of the demo':>13}{'right':>9}")
    rights = {}
    for (check, spoilt), passed in sorted(accepted.items()):
        wrong = np.mean(rejected[check] + made[check])
        right = 1 - (np.mean(passed) + wrong) / 2
        rights[f"{check}: {spoilt}"] = float(right)
        print(
            f"{check:14}{spoilt:18}{np.mean(passed):15.1%}{np.mean(rejected[check]):15.1%}{np.mean(made[check]):13.1%}{right:9.1%}"
        )
    print(f"{count} pictures of each kind")
    for side, milliseconds in picture_ms.items():
        print(f"all checks of a picture of {side}x{side}: {milliseconds:.0f} ms")
    print(f"one picture among {AMONG:,} of its colour: {among_ms:.0f} ms")
    print(json.dumps({"right": rights, "picture_ms": picture_ms, "among_ms": among_ms}))
    if any(right < LEAST_RIGHT for name, right in rights.items() if name.split(":")[0] in PROMISED):
        sys.exit(1)


if __name__ == "__main__":
    main()
