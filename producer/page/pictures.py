"""The pictures of a page: small copies, kept with the pictures, and beside or inside the page."""

import os
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from models.figures.made_pictures import MadePicture
from models.pictures.store import PictureStore
from producer.files import put_file
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
    thumbnails = [store.thumbnail(one.batch_id, one.job_id) for one in pictures]
    files = [store.where(one.picture) for one in pictures]
    with progress_bar("small copies of pictures", len(pictures), long=_LONG) as advance:
        make_thumbnails(list(zip(files, thumbnails, strict=True)), advance)
    # A link is counted from where the page really is.
    folder = page.absolute().parent.resolve()
    beside = folder / f"{page.stem}-pictures"
    gallery = Gallery()
    for one, file, thumbnail in zip(pictures, files, thumbnails, strict=True):
        if not thumbnail.exists():
            gallery.add(one, None, None)
        elif inline:
            data = b64encode(thumbnail.read_bytes()).decode()
            gallery.add(one, _link(file, folder), f"data:image/webp;base64,{data}")
        else:
            put_file(thumbnail, beside / thumbnail.name)
            gallery.add(one, _link(file, folder), _link(beside / thumbnail.name, folder))
    return gallery


def _link(file: Path, folder: Path) -> str:
    return quote(os.path.relpath(file.resolve(), folder))
