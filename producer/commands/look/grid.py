"""`producer grid`."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from models.figures.made_pictures import MadePicture, all_made_pictures
from models.pictures.opening import open_store
from models.pictures.store import PictureStore
from models.records.batches import find_batch
from models.records.database import Database
from models.settings import load_settings
from models.types.errors import BadInputError, StorageError
from models.types.job import JobSpec
from models.types.printable import printable
from models.types.states import JobState
from producer.exports.contact_sheet import Cell, Row, pages, rows_by_attribute, rows_of
from producer.terminal.progress_bar import progress_bar

_COLUMNS = 8
#: Rows of a page: some thousand pixels more than a screen has.
_ROWS = 25


@click.command
@click.argument("batch", required=False)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="PNG. Default: BATCH.png here.")
@click.option(
    "--columns", type=click.IntRange(1, 50), help=f"Pictures side by side. Default: by attribute, else {_COLUMNS}."
)
@click.option("--side", type=click.IntRange(32, 1024), default=160, show_default=True, help="Pixels of a picture.")
@click.option("--rejected", is_flag=True, help="The rejected pictures in place of the accepted ones.")
def command(batch: str | None, output: Path | None, columns: int | None, side: int, rejected: bool) -> None:
    """Put the pictures of BATCH, or of the newest batch, on a contact sheet, with captions under them.

    Where a template chose attributes, there is a column for each value of the one with the most, and a block of rows
    for each value of the next. A batch of many pictures takes several pages, BATCH-1.png, BATCH-2.png and so on.
    """
    settings = load_settings()
    database = Database(settings.database)
    with database.reading() as session:
        found = find_batch(session, batch)
    wanted = JobState.REJECTED if rejected else JobState.SUCCEEDED
    pictures = all_made_pictures(database, found.id, [wanted])
    if not pictures:
        raise BadInputError([f"{found.name}: no picture is {'rejected' if rejected else 'there'} yet"])
    store = open_store(settings)
    rows, headings = _rows(pictures, store, columns)
    target = output or Path(f"{found.name}.png")
    count = -(-len(rows) // _ROWS)
    with progress_bar("drawing pages", count, long=1) as advance:
        for number, page in enumerate(pages(rows, headings, side, _ROWS), start=1):
            file = target if count == 1 else target.with_stem(f"{target.stem}-{number}")
            try:
                page.save(file, "PNG")
            except OSError as error:
                raise StorageError(
                    f"{file} cannot be written ({error.strerror or error}); name another --output"
                ) from error
            advance(1)
    first, last = (target.with_stem(f"{target.stem}-{number}") for number in (1, count))
    where = target if count == 1 else f"{first} to {last.name}"
    what = "1 picture" if len(pictures) == 1 else f"{len(pictures):,} pictures"
    click.echo(f"{found.name}: {what} on {where}")


def _rows(pictures: Sequence[MadePicture], store: PictureStore, columns: int | None) -> tuple[list[Row], Sequence[str]]:
    values: dict[str, dict[str, None]] = {}
    for picture in pictures:
        for name, value in picture.attributes.items():
            values.setdefault(name, {})[value] = None
    # One value says nothing; more columns than that are no table any more.
    telling = sorted((name for name in values if 1 < len(values[name]) <= 50), key=lambda name: -len(values[name]))
    if columns is not None or not telling:
        return rows_of([_cell(picture, store, _words(picture.spec)) for picture in pictures], columns or _COLUMNS), ()
    across, down = telling[0], telling[1] if len(telling) > 1 else None
    cells = [
        (_cell(picture, store, _others(picture.attributes, across, down)), picture.attributes) for picture in pictures
    ]
    headings = list(dict.fromkeys(printable(picture.attributes.get(across, "")) for picture in pictures))
    return rows_by_attribute(cells, down, across), headings


def _words(spec: JobSpec) -> str:
    return ", ".join(filter(None, [spec.prompt, spec.lora and f"LoRA {spec.lora}"]))


def _others(attributes: Mapping[str, str], *named: str | None) -> str:
    """Return the attributes that neither row nor column says."""
    return ", ".join(value for name, value in attributes.items() if name not in named)


def _cell(picture: MadePicture, store: PictureStore, text: str) -> Cell:
    gone = "" if store.has(picture.picture) else "not there any more"
    caption = ": ".join(filter(None, [f"job {picture.job_id}", gone, printable(text)]))
    return Cell(None if gone else partial(store.read, picture.picture), caption)
