"""Small copies of pictures, made once and kept."""

import io
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from models.figures.made_pictures import MadePicture
from models.pictures.store import PictureStore
from models.types.errors import StorageError
from producer.actions.progress import Advance

#: Pixels of the longer side: more than a tile has, for screens that put two pixels in the place of one.
SIDE = 256
_QUALITY = 80


def make_thumbnails(pictures: Iterable[MadePicture], store: PictureStore, advance: Advance) -> None:
    """Make each picture's small copy, unless there is one that is newer; a picture that is none has none.

    Raises:
        StorageError: if one cannot be written.
    """
    # Pillow lets other threads run while it decodes and encodes.
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as threads:
        try:
            for _ in threads.map(lambda one: _make(one, store), pictures):
                advance(1)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def _make(made: MadePicture, store: PictureStore) -> None:
    thumbnail = store.thumbnail(made.batch_id, made.job_id)
    if store.is_current(thumbnail, made.picture):
        return
    try:
        with Image.open(io.BytesIO(store.read(made.picture))) as opened:
            small = opened.convert("RGB")
    except (OSError, StorageError):
        # Not there any more, or no picture any more: its copy would show what is gone.
        store.remove(thumbnail)
        return
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    small.save(written, "WEBP", quality=_QUALITY)
    store.write_thumbnail(thumbnail, written.getvalue())
