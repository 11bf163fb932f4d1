"""The sheet of the demonstration: every picture in the new colour without the LoRA, and the same with it below."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

#: Pictures in a row, and pixels of each.
_COLUMNS: Final = 12
_SIDE: Final = 96
_LABEL: Final = 18


def write_sheet(file: Path, without: Sequence[Path], learnt: Sequence[Path]) -> None:
    """Write the pictures of both, in the same order, as rows of twelve under each other."""
    rows = [
        (label, pictures[start : start + _COLUMNS])
        for start in range(0, len(without), _COLUMNS)
        for label, pictures in (("without the LoRA", without), ("with it", learnt))
    ]
    sheet = Image.new("RGB", (_COLUMNS * _SIDE, len(rows) * (_SIDE + _LABEL)), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (label, pictures) in enumerate(rows):
        top = place * (_SIDE + _LABEL)
        draw.text((4, top + 3), label, fill="black")
        for column, picture in enumerate(pictures):
            with Image.open(picture) as opened:
                small = opened.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
            sheet.paste(small, (column * _SIDE, top + _LABEL))
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(file, optimize=True)
