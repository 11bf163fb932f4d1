"""Whether the picture's file is as large as one with something in it."""

from pydantic import BaseModel, Field

from checks.asked import Asked
from checks.picture import Picture
from models.types.finding import Finding


class Limits(BaseModel):
    """How small a file may be."""

    least: float = Field(0.05, ge=0, description="Least bytes a pixel; PNGs of photos have 0.3 to 2.")


def check(picture: Picture, asked: Asked, limits: Limits) -> Finding:
    """Find the bytes that the file takes for each pixel."""
    if picture.file_bytes is None:
        return Finding("file", None, passed=True, sentence="there is no file")
    share = picture.file_bytes / (picture.width * picture.height)
    said = f"{picture.file_bytes:,} bytes, {share:.2f} a pixel (least {limits.least:g})"
    return Finding("file", share, share >= limits.least, said)
