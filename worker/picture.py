"""Pictures on disk: with their parameters inside, and never half written."""

import errno
import fcntl
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL.Image import Image
from PIL.PngImagePlugin import PngInfo

from models.errors import StorageError
from models.job import JobSpec
from models.pictures import PICTURES
from models.schedulers import SCHEDULERS

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


def encode_png(picture: Image, parameters: str) -> bytes:
    """Return the picture as PNG with A1111's `parameters` text inside, as tEXt, or iTXt beyond Latin-1."""
    info = PngInfo()
    info.add_text("parameters", parameters)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def aside_path(path: Path, attempt_id: int) -> Path:
    """Return the name, of the attempt's own, that a picture has until its attempt is known to be the job's."""
    return path.with_name(f".{path.name}.{attempt_id}")


def write_aside(path: Path, content: bytes, attempt_id: int) -> Path:
    """Write `content` beside `path` at the attempt's `aside_path`, synced, and return that.

    Raises:
        StorageError: if there is no room, or the folder cannot be written; nothing is left behind.
    """
    aside = aside_path(path, attempt_id)
    with _explained(path):
        aside.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("wb") as file:
                file.write(content)
                file.flush()
                _sync(file.fileno())
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    return aside


def put_in_place(aside: Path, path: Path) -> None:
    """Give a picture that `write_aside` wrote its name, in a way that outlasts a loss of power.

    Raises:
        StorageError: if it cannot be renamed.
    """
    with _explained(path):
        aside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            _sync(folder)
        finally:
            os.close(folder)


def asides(data_dir: Path) -> dict[int, Path]:
    """Return the files that attempts wrote aside, by the attempts' numbers."""
    found = (data_dir / PICTURES).glob("*/.job-*.png.*")
    return {int(path.suffix[1:]): path for path in found if path.suffix[1:].isdecimal()}


def _sync(descriptor: int) -> None:
    # macOS's fsync(2) leaves data in the disk's own cache, where a loss of power takes it; this does not.
    full_sync = getattr(fcntl, "F_FULLFSYNC", None)
    if full_sync is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, full_sync)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = "free some space" if error.errno in _DISK_FULL else "make its folder writable"
        raise StorageError(f"{path} cannot be written ({error.strerror}): {remedy}") from error


def parameters_text(spec: JobSpec, checkpoint: str, revision: str, version: str) -> str:
    """Return A1111's `parameters`: prompt, negative prompt, and one line of settings.

    Order and quoting follow A1111's own writer: a value with a comma, a colon or a newline is JSON-quoted,
    and a field without a value is left out.
    """
    scheduler = SCHEDULERS[spec.scheduler]
    digest = revision.removeprefix("sha256:") if revision.startswith("sha256:") else None
    fields = {
        "Steps": spec.steps,
        "Sampler": scheduler.sampler,
        "Schedule type": scheduler.schedule_type,
        "CFG scale": f"{spec.guidance:g}",
        "Seed": spec.seed,
        "Size": f"{spec.width}x{spec.height}",
        # A1111's short hash is the first ten digits of a single file's sha256.
        "Model hash": digest[:10] if digest and checkpoint.endswith(".safetensors") else None,
        "Model": Path(checkpoint).name.removesuffix(".safetensors"),
        "RNG": "CPU",
        "Version": f"Nightshift {version}",
    }
    line = ", ".join(f"{key}: {_quoted(value)}" for key, value in fields.items() if value is not None)
    negative = [f"Negative prompt: {spec.negative_prompt}"] if spec.negative_prompt else []
    return "\n".join([spec.prompt, *negative, line])


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text
