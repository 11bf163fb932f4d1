"""Pictures of another size than they were made in."""

import io
import re
from dataclasses import dataclass
from enum import StrEnum

from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

_SIZE = re.compile(r"(\d{1,4})x(\d{1,4})")
_LEAST = 16


class Fit(StrEnum):
    """How a picture of other proportions comes to its size."""

    #: All of it is there, and white beside it.
    PAD = "pad"
    #: It fills the size, and what stands out is cut off.
    CROP = "crop"


@dataclass(frozen=True)
class Resizing:
    """A size in pixels, and how pictures come to it."""

    width: int
    height: int
    fit: Fit

    @classmethod
    def of(cls, text: str, fit: Fit) -> "Resizing":
        """Read a size such as 512x512.

        Raises:
            ValueError: if it is none.
        """
        found = _SIZE.fullmatch(text)
        if found is None or min(map(int, found.groups())) < _LEAST:
            raise ValueError(f"{text!r} is no size; write WIDTHxHEIGHT in pixels, such as 512x512, {_LEAST} at least")
        return cls(int(found[1]), int(found[2]), fit)

    def content(self, picture: bytes) -> bytes:
        """Return a picture's file in that size, with the parameters that the picture has in it."""
        size = self.width, self.height
        with Image.open(io.BytesIO(picture)) as opened:
            texts = {str(key): str(value) for key, value in opened.info.items() if isinstance(value, str)}
            pixels = opened.convert("RGB")
        if self.fit is Fit.PAD:
            resized = ImageOps.pad(pixels, size, Image.Resampling.LANCZOS, color="white")
        else:
            resized = ImageOps.fit(pixels, size, Image.Resampling.LANCZOS)
        kept = PngInfo()
        for key, value in texts.items():
            kept.add_text(key, value)
        written = io.BytesIO()
        resized.save(written, "PNG", pnginfo=kept)
        return written.getvalue()

    def __str__(self) -> str:
        return f"{self.width}x{self.height}, {self.fit}"
