"""The pictures of a page: small copies, kept with the pictures, and beside or inside the page."""

import os
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from models.figures.made_pictures import MadePicture
from models.pictures.store import PictureStore
from producer.files import new_file, put_file
from producer.page.gallery import Gallery
from producer.page.thumbnails import make_thumbnails
from producer.terminal.progress_bar import progress_bar

#: From how many pictures on a bar is shown.
_LONG = 200


def gallery_beside(page: Path, pictures: Sequence[MadePicture], store: PictureStore, *, inline: bool) -> Gallery:
    """Return the gallery for a page that will be there, its small copies made and put into a folder beside it.

    With `inline` they are in the gallery itself. The pictures are linked where they are.

    Raises:
        StorageError: if a small copy cannot be written.
    """
    with progress_bar("small copies of pictures", len(pictures), long=_LONG) as advance:
        make_thumbnails(pictures, store, advance)
    # A link is counted from where the page really is.
    folder = page.absolute().parent.resolve()
    beside = folder / f"{page.stem}-pictures"
    gallery = Gallery()
    for one in pictures:
        thumbnail = store.thumbnail(one.batch_id, one.job_id)
        if not store.has(thumbnail):
            gallery.add(one, None, None)
            continue
        file = store.local_file(one.picture)
        link = None if file is None else _link(file, folder)
        if inline:
            data = b64encode(store.read_thumbnail(thumbnail)).decode()
            gallery.add(one, link, f"data:image/webp;base64,{data}")
        else:
            target = beside / PurePosixPath(thumbnail).name
            _put(store, thumbnail, target)
            gallery.add(one, link, _link(target, folder))
    return gallery


def _put(store: PictureStore, thumbnail: str, target: Path) -> None:
    if (file := store.local_file(thumbnail)) is not None:
        put_file(file, target)
        return
    with new_file(target) as new:
        new.write_bytes(store.read_thumbnail(thumbnail))


def _link(file: Path, folder: Path) -> str:
    return quote(os.path.relpath(file.resolve(), folder))
