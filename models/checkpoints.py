"""Names of checkpoints and the values that a job takes from its checkpoint where it names none."""

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from models.types.errors import CheckpointError
from models.types.job import Guidance, SchedulerName, Size, Steps
from models.types.printable import printable

STABLE_DIFFUSION_1_5 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
DEMO = "demo"
#: The demo's weights are part of the package, so that the name works from any folder.
DEMO_FOLDER = Path(__file__).parent / DEMO
#: The hub moved the repository; the old name still stands in many scripts.
_MOVED = {"runwayml/stable-diffusion-v1-5": STABLE_DIFFUSION_1_5}
_HUB_NAME = r"[A-Za-z0-9](?:[\w.-]{0,94}\w)?"
#: No more than the hub's library takes, which raises an error for all others.
_HUB_ID = re.compile(rf"(?!.*(?:--|\.\.|\.git$)){_HUB_NAME}/{_HUB_NAME}", re.ASCII)
#: A folder may carry its own defaults in this file.
DEFAULTS_FILE = "nightshift.json"
#: A folder in diffusers' layout says in this file what it is made of.
INDEX_FILE = "model_index.json"


class CheckpointDefaults(BaseModel):
    """Size, steps, guidance and scheduler of a job that does not say; the values here are Stable Diffusion 1.5's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: Size = 512
    height: Size = 512
    steps: Steps = 25
    guidance: Guidance = 7.5
    scheduler: SchedulerName = "PNDM"


def canonical_checkpoint(name: str) -> str:
    """Return the name under which a checkpoint is known: moved hub ids renamed, local paths made absolute."""
    name = name.strip()
    path = Path(name).expanduser()
    if name == DEMO:
        return DEMO
    if is_hub_id(name) and not path.exists():
        return _MOVED.get(name, name)
    return str(path.resolve())


def is_hub_id(name: str) -> bool:
    """Tell whether `name` reads as `owner/repository`; absolute paths never do."""
    return _HUB_ID.fullmatch(name) is not None


def public_name(name: str) -> str:
    """Return what others know a checkpoint by: its hub id, or what its file or folder is called, without the place."""
    if is_hub_id(name):
        return name
    path = Path(name)
    # As the hub's library calls its folders: models--owner--name/snapshots/COMMIT.
    if path.parent.name == "snapshots" and path.parent.parent.name.startswith("models--"):
        return path.parent.parent.name.removeprefix("models--").replace("--", "/")
    return path.name


def local_path(name: str) -> Path:
    """Return where a checkpoint that is no hub id lies: a folder or a file, which need not be there."""
    return DEMO_FOLDER if name == DEMO else Path(name)


def why_never_loaded(name: str) -> str | None:
    """Say why checkpoint `name` is none, as far as what lies here under it tells; None where nothing speaks against it.

    What is not on this machine may be on the worker's.
    """
    path = local_path(name)
    if is_hub_id(name):
        return None
    if path.is_file() and path.suffix != ".safetensors":
        return f"{printable(name)} is no checkpoint: only .safetensors files are loaded, other formats can run code"
    if path.is_dir() and not (path / INDEX_FILE).is_file():
        return f"{printable(name)} is no checkpoint: a folder in diffusers' layout has a {INDEX_FILE}"
    if path.exists() and not path.is_file() and not path.is_dir():
        return f"{printable(name)} is no checkpoint: it is neither a file nor a folder"
    return None


def checkpoint_defaults(name: str) -> CheckpointDefaults:
    """Return what a job takes from checkpoint `name` (as `canonical_checkpoint` gives it) where it names nothing.

    Raises:
        CheckpointError: if the folder's `nightshift.json` cannot be used.
    """
    file = local_path(name) / DEFAULTS_FILE
    if is_hub_id(name) or not file.is_file():
        return CheckpointDefaults()
    try:
        return CheckpointDefaults.model_validate_json(file.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise CheckpointError(f"{file} cannot be used: {problems}") from error
