"""What a training keeps in its folder so that it can go on, each file with a digest of what it holds."""

import hashlib

#: As `Path.glob` takes them: states, and pictures as the device takes them, learnt from and held out.
STATES, PICTURES, HELD_OUT = "state-*.bin", "pictures.bin", "held-out.bin"
#: Ends the name of a file that is not whole yet.
ASIDE = ".aside"
_DIGEST_BYTES = 32


def state_file(step: int, segment_id: int) -> str:
    """Return the name of a state that one segment writes, and no other."""
    return STATES.replace("*", f"{step:06d}-{segment_id}")


def sealed(content: bytes) -> bytes:
    """Return a file's content that holds `content` and its SHA-256."""
    return hashlib.sha256(content).digest() + content


def unsealed(written: bytes) -> bytes | None:
    """Return what was sealed; None where a disk has lost or changed any of it."""
    digest, content = written[:_DIGEST_BYTES], written[_DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None
