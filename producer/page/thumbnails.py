"""Small copies of pictures, made once and kept."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from producer.files import new_file

#: Pixels of the longer side: more than a tile has, for screens that put two pixels in the place of one.
SIDE = 256
_QUALITY = 80


def make_thumbnails(wanted: Iterable[tuple[Path, Path]], advance: Callable[[int], None]) -> None:
    """Make each picture's small copy, unless there is one that is newer; a picture that is none has none.

    Raises:
        StorageError: if one cannot be written.
    """
    # Pillow lets other threads run while it decodes and encodes.
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as threads:
        try:
            for _ in threads.map(lambda pair: _make(*pair), wanted):
                advance(1)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def _make(picture: Path, thumbnail: Path) -> None:
    try:
        if thumbnail.exists() and thumbnail.stat().st_mtime >= picture.stat().st_mtime:
            return
        with Image.open(picture) as opened:
            small = opened.convert("RGB")
    except OSError:
        # Not there any more, or no picture any more: its copy would show what is gone.
        thumbnail.unlink(missing_ok=True)
        return
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    with new_file(thumbnail) as new:
        small.save(new, "WEBP", quality=_QUALITY)
