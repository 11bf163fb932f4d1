"""Contact sheets: many pictures on a page, each with a caption under it."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

#: Pixels: between two pictures, of a caption's letters, and of its lines.
_GAP, _LETTERS, _LINE = 8, 12, 16
_CAPTION_LINES = 2
_PAPER, _INK, _FRAME = "white", "black", (210, 210, 210)


@dataclass(frozen=True)
class Cell:
    """A picture on a sheet; None in its place leaves the place empty, and the caption says why."""

    #: Returns the picture's file, which is not kept for longer than it is drawn.
    read: Callable[[], bytes] | None
    caption: str


@dataclass(frozen=True)
class Row:
    """Pictures side by side, None where there is none."""

    cells: Sequence[Cell | None]
    #: Stands before them; the row before has the same where it is empty.
    label: str = ""


def rows_by_attribute(cells: Sequence[tuple[Cell, Mapping[str, str]]], down: str | None, across: str) -> list[Row]:
    """Return rows with a column for each value of the attribute `across`, and a block of rows for each of `down`.

    Where several pictures have the same values, they stand below one another.
    """
    columns = list(dict.fromkeys(attributes.get(across, "") for _, attributes in cells))
    blocks = list(dict.fromkeys(attributes.get(down, "") if down else "" for _, attributes in cells))
    placed: dict[tuple[str, str], list[Cell]] = {}
    for cell, attributes in cells:
        place = attributes.get(down, "") if down else "", attributes.get(across, "")
        placed.setdefault(place, []).append(cell)
    rows = []
    for block in blocks:
        depth = max(len(placed.get((block, column), ())) for column in columns)
        for line in range(depth):
            found = [placed.get((block, column), ()) for column in columns]
            rows.append(Row([cells[line] if line < len(cells) else None for cells in found], "" if line else block))
    return rows


def rows_of(cells: Sequence[Cell], columns: int) -> list[Row]:
    """Return the cells in rows of so many."""
    return [Row(cells[start : start + columns]) for start in range(0, len(cells), columns)]


def pages(rows: Sequence[Row], headings: Sequence[str], side: int, most_rows: int) -> Iterator[Image.Image]:
    """Yield pages of at most so many rows; each picture is fitted into a square of `side` pixels.

    `headings` stand over the columns of each page, and a block's label at its first row there.
    """
    label = ""
    for start in range(0, len(rows), most_rows):
        shown = list(rows[start : start + most_rows])
        if not shown[0].label:
            shown[0] = Row(shown[0].cells, label)
        label = next((row.label for row in reversed(shown) if row.label), label)
        yield _page(shown, headings, side)


def _page(rows: Sequence[Row], headings: Sequence[str], side: int) -> Image.Image:
    font = ImageFont.load_default(_LETTERS)
    columns = max(len(row.cells) for row in rows)
    margin = max((_width(font, row.label) for row in rows), default=0)
    left = _GAP + (margin + _GAP if margin else 0)
    top = _GAP + (_LINE if any(headings) else 0)
    step, height = side + _GAP, side + _CAPTION_LINES * _LINE + _GAP
    sheet = Image.new("RGB", (round(left + columns * step), top + len(rows) * height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, heading in enumerate(headings):
        pen.text((left + column * step, _GAP // 2), _cut(font, heading, side), _INK, font)
    for line, row in enumerate(rows):
        down = top + line * height
        pen.text((_GAP, down), row.label, _INK, font)
        for column, cell in enumerate(row.cells):
            if cell is not None:
                _put(sheet, pen, font, cell, (round(left + column * step), down), side)
    return sheet


def _put(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    cell: Cell,
    place: tuple[int, int],
    side: int,
) -> None:
    across, down = place
    pen.rectangle((across - 1, down - 1, across + side, down + side), outline=_FRAME)
    if cell.read is not None:
        with Image.open(io.BytesIO(cell.read())) as opened:
            picture = opened.convert("RGB")
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        sheet.paste(picture, (across + (side - picture.width) // 2, down + (side - picture.height) // 2))
    for number, line in enumerate(_wrapped(font, cell.caption, side)):
        pen.text((across, down + side + 2 + number * _LINE), line, _INK, font)


def _wrapped(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str, width: int) -> list[str]:
    """Return the text in as many lines as a caption has, cut off where it is longer."""
    lines, words = [""], text.split()
    while words:
        longer = f"{lines[-1]} {words[0]}".strip()
        if lines[-1] and _width(font, longer) > width:
            if len(lines) == _CAPTION_LINES:
                lines[-1] = _cut(font, " ".join([lines[-1], *words]), width)
                break
            lines.append("")
        else:
            lines[-1] = longer
            del words[0]
    return [_cut(font, line, width) for line in lines]


def _cut(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str, width: int) -> str:
    if _width(font, text) <= width:
        return text
    while text and _width(font, f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _width(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str) -> float:
    return font.getlength(text)
