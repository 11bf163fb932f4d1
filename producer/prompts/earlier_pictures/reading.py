"""Reading requests out of PNG files: what each was made with, in A1111's form, or in that of another program."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from models.checkpoints import DEMO, STABLE_DIFFUSION_1_5
from producer.prompts.earlier_pictures.a1111 import parse_parameters
from producer.prompts.earlier_pictures.others import maker, read_other
from producer.prompts.problems import Problems, place, visible
from producer.prompts.request import Request


def read_pictures(
    sources: Sequence[str], checkpoints: Sequence[str], problems: Problems, warn: Callable[[str], None], *, named: bool
) -> Iterator[Request]:
    """Read a request out of each PNG file of `sources`, and of each in the folders among them, by name.

    `checkpoints` are those that a picture's `Model` may mean; where it is none of them, a picture takes what the
    command line names, if it does (`named`). What a job cannot say, such as `Clip skip`, is told to `warn`, and every
    picture that cannot be used to `problems`.
    """
    for source in sources:
        for path in _files(Path(source), problems):
            try:
                values, left = _read(path)
            except ValueError as error:
                problems.add(place(str(path)), str(error))
                continue
            model = values.pop("model", None)
            found = next((name for name in checkpoints if _short(name) == model), None)
            if found is not None:
                values["checkpoint"] = found
            elif model is not None and not named:
                problems.add(
                    place(str(path)),
                    f"was made with a checkpoint called {visible(model)}, which is not known here; name it with "
                    "--checkpoint",
                )
            if left:
                warn(f"{place(str(path))}: made with {', '.join(left)}, which a job here cannot ask for")
            yield Request(None, values, origin=str(path))


def known_checkpoints(default: str, folders: Sequence[Path]) -> list[str]:
    """Return the checkpoints that a picture's `Model` may mean: the default, ours, and what lies in `folders`."""
    lying = [
        str(path)
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.is_dir() or path.suffix == ".safetensors"
    ]
    return [default, DEMO, STABLE_DIFFUSION_1_5, *lying]


def _files(source: Path, problems: Problems) -> list[Path]:
    if not source.is_dir():
        return [source]
    try:
        found = sorted(path for path in source.iterdir() if path.suffix.lower() == ".png")
    except OSError as error:
        problems.add(place(str(source)), f"cannot be read: {error.strerror or error}")
        return []
    if not found:
        problems.add(place(str(source)), "has no PNG file in it")
    return found


def _read(path: Path) -> tuple[dict[str, object], list[str]]:
    """Return what a picture was made with, and the names of what a job cannot say.

    Raises:
        ValueError: saying why that cannot be read.
    """
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            # A text may stand behind the pixels.
            picture.load()
            texts, size = dict(getattr(picture, "text", {})), picture.size
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    except UnidentifiedImageError:
        raise ValueError("is no PNG file") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot be read: {error}") from None
    if (program := maker(texts)) is not None:
        return read_other(program, texts, size)
    if "parameters" not in texts:
        raise ValueError("has no parameters in it; another program may have taken them out")
    return parse_parameters(str(texts["parameters"]))


def _short(checkpoint: str) -> str:
    return Path(checkpoint).name.removesuffix(".safetensors")
