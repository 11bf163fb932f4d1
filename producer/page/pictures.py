"""The pictures of a page: small copies, kept with the pictures, and beside or inside the page."""

import os
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from models.figures.made_pictures import MadePicture
from models.pictures.store import PictureStore
from models.types.errors import BadInputError
from producer.files import new_file, put_file
from producer.page.thumbnails import make_thumbnails
from producer.terminal.progress_bar import progress_bar

#: Pictures of a page that holds them itself, some 10 kB each: a browser still shows it at once.
MOST_INLINE = 1_000
#: From how many pictures on a bar is shown.
_LONG = 200


@dataclass(frozen=True)
class ShownPicture:
    """A picture of a page, with the links to its file and to its small copy."""

    made: MadePicture
    #: None where it is not there any more, or is not a file of this machine.
    file: str | None
    thumbnail: str | None


def shown_pictures(
    page: Path, pictures: Sequence[MadePicture], store: PictureStore, *, inline: bool
) -> Iterator[ShownPicture]:
    """Yield the pictures for a page that will be there, their small copies made and put into a folder beside it.

    With `inline` these are in the links themselves. The pictures are linked where they are.

    Raises:
        BadInputError: if they are too many for one file.
        StorageError: if a small copy cannot be written.
    """
    if inline and len(pictures) > MOST_INLINE:
        raise BadInputError(
            [f"--inline holds at most {MOST_INLINE:,} pictures, and there are {len(pictures):,}: leave it out"]
        )
    with progress_bar("small copies of pictures", len(pictures), long=_LONG) as advance:
        make_thumbnails(pictures, store, advance)
    # A link is counted from where the page really is.
    folder = page.absolute().parent.resolve()
    for one in pictures:
        thumbnail = store.thumbnail(one.batch_id, one.job_id)
        if not store.has(thumbnail):
            yield ShownPicture(one, None, None)
            continue
        file = store.local_file(one.picture)
        link = None if file is None else _link(file, folder)
        if inline:
            data = b64encode(store.read_thumbnail(thumbnail)).decode()
            yield ShownPicture(one, link, f"data:image/webp;base64,{data}")
        else:
            target = folder / _beside(page) / PurePosixPath(thumbnail).name
            _put(store, thumbnail, target)
            yield ShownPicture(one, link, _link(target, folder))


def where_it_is(page: Path, pictures: Sequence[MadePicture], *, inline: bool) -> str:
    """Return the line that says where a page and its small copies are."""
    beside = "" if inline or not pictures else f", and its pictures in {_beside(page)} beside it"
    return f"{page}: open it in a browser{beside}"


def _beside(page: Path) -> str:
    return f"{page.stem}-pictures"


def _put(store: PictureStore, thumbnail: str, target: Path) -> None:
    if (file := store.local_file(thumbnail)) is not None:
        put_file(file, target)
        return
    with new_file(target) as new:
        new.write_bytes(store.read_thumbnail(thumbnail))


def _link(file: Path, folder: Path) -> str:
    return quote(os.path.relpath(file.resolve(), folder))
