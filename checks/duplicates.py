"""Whether a picture is nearly the same as an earlier one of its batch."""

from collections.abc import Iterator
from dataclasses import dataclass

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, Field

from checks.picture import Picture
from models.types.finding import Finding

#: Side of the hash; 16 by 16 is 256 bits, which is what it takes to tell apart products of one kind on white.
_SIDE = 16
BITS = _SIDE * _SIDE
_WORDS = BITS // 64
#: A picture is compared as it is and moved by this share of its sides, for a pixel changes a tenth of the bits.
_MOVED = 1 / 128


class Limits(BaseModel):
    """What counts as nearly the same; both have to hold."""

    bits: int = Field(9, ge=0, le=BITS, description=f"Largest number of {BITS} bits of the hash that differ.")
    colour: float = Field(4.0, ge=0, description="Largest distance of the mean colours in CIELAB.")


@dataclass(frozen=True)
class Likeness:
    """What two pictures are compared by: perceptual hashes of lightness, and the subject's mean colour."""

    #: Of the picture as it is, then of the picture moved in each direction: (9, words) of 64 bits.
    hashes: NDArray[np.uint64]
    #: In CIELAB.
    colour: NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """Return what is kept of it, which is enough for later pictures to be compared with it."""
        return bytes(self.hashes[0].astype("<u8").tobytes() + self.colour.astype("<f4").tobytes())

    @classmethod
    def from_bytes(cls, content: bytes) -> "Likeness":
        """Return what `to_bytes` kept: of the picture as it is alone."""
        split = BITS // 8
        return cls(np.frombuffer(content[:split], "<u8")[np.newaxis], np.frombuffer(content[split:], "<f4"))


def likeness(picture: Picture) -> Likeness:
    """Return what the picture is compared by; the hash is imagehash's of the discrete cosine transform."""
    where = picture.subject if picture.subject.any() else np.ones_like(picture.subject)
    hashes = [
        np.packbits(imagehash.phash(Image.fromarray(pixels), hash_size=_SIDE).hash.ravel()).view(np.uint64)
        for pixels in _moved(picture)
    ]
    return Likeness(np.stack(hashes), picture.lab[where].mean(axis=0).astype(np.float32))


def _moved(picture: Picture) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels as they are, then moved in each direction; what comes in at the edge is the edge again."""
    down, across = (max(1, round(_MOVED * side)) for side in (picture.height, picture.width))
    wider = np.pad(picture.rgb, ((down, down), (across, across), (0, 0)), mode="edge")
    for y in (down, 0, 2 * down):
        for x in (across, 0, 2 * across):
            yield wider[y : y + picture.height, x : x + picture.width]


class Seen:
    """The pictures of a batch so far. Looking for one among 100,000 takes milliseconds."""

    #: Places that are made at first, and doubled when they are full.
    ROOM = 1_024

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._hashes: NDArray[np.uint64] = np.zeros((0, _WORDS), dtype=np.uint64)
        self._colours: NDArray[np.float32] = np.zeros((0, 3), dtype=np.float32)
        self._keys: list[int] = []

    def compare(self, one: Likeness) -> Finding:
        """Find the earlier picture that is most like this one.

        The figure is the number of bits that differ from it; None where none has the same colour.
        """
        count = len(self._keys)
        found = Finding("duplicates", None, passed=True, sentence="no earlier picture is like it")
        if count:
            apart = np.linalg.norm(self._colours[:count] - one.colour, axis=1)
            near = np.flatnonzero(apart <= self._limits.colour)
            if near.size:
                kept = self._hashes[near]
                differ = np.min([np.bitwise_count(kept ^ hash_).sum(axis=1) for hash_ in one.hashes], axis=0)
                nearest = int(differ.argmin())
                least, other = int(differ[nearest]), self._keys[near[nearest]]
                passed = least > self._limits.bits
                said = "is nearest" if passed else "is nearly the same"
                found = Finding(
                    "duplicates",
                    least,
                    passed,
                    f"job {other} {said}: {least} of {BITS} bits differ (more than {self._limits.bits})",
                )
        return found

    def keep(self, key: int, one: Likeness) -> None:
        """Have later pictures compared with this one, which is the job's with the number `key`.

        One that is thrown out is not to be kept: it would throw out another one, too.
        """
        count = len(self._keys)
        if count == len(self._hashes):
            grown = max(self.ROOM, 2 * count)
            self._hashes = np.resize(self._hashes, (grown, _WORDS))
            self._colours = np.resize(self._colours, (grown, 3))
        self._hashes[count], self._colours[count] = one.hashes[0], one.colour
        self._keys.append(key)
