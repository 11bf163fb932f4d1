"""Where LoRAs lie on this disk."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from models.checkpoints import is_hub_id
from models.types.errors import LoraError
from models.types.printable import printable

LORA_SUFFIX = ".safetensors"
#: What diffusers calls the file of a repository or a folder.
_USUAL_FILE = "pytorch_lora_weights.safetensors"
#: Named where one is looked for in vain.
_SHOWN = 5


def find_lora(name: str, folders: Sequence[Path]) -> Path:
    """Return the file of a LoRA: below these folders, by its path there or by its name alone, or in the hub's cache.

    Raises:
        LoraError: there is none, there are several, or it lies elsewhere.
    """
    found = _below(name, folders) or _of_hub(name)
    if found is None:
        raise LoraError(f"LoRA {name}: {_missing(name, folders)}")
    return found


def _below(name: str, folders: Sequence[Path]) -> Path | None:
    for folder in folders:
        # Resolved, so that neither `..` nor a link leads out of the folder. A path is taken where it leads into it.
        file = (folder / f"{name}{LORA_SUFFIX}").resolve()
        if file.is_file() and file.is_relative_to(folder.resolve()):
            return file
    if Path(name).is_absolute():
        where = "lies outside of" if Path(f"{name}{LORA_SUFFIX}").is_file() else "is not in"
        raise LoraError(f"LoRA {name} {where} {_names(folders)}, where jobs may take LoRAs from; copy it there")
    if "/" in name:
        return None
    found = [file for file in _all(folders) if file.name == f"{name}{LORA_SUFFIX}"]
    if len(found) > 1:
        raise LoraError(f"LoRA {name}: {' and '.join(map(str, found[:3]))} are called so; name one by its folder")
    return found[0].resolve() if found else None


def _of_hub(name: str) -> Path | None:
    repository, file = _in_hub(name)
    if not is_hub_id(repository):
        return None
    # Imported here, since it takes a while, and few jobs name a LoRA of the hub.
    from huggingface_hub import snapshot_download

    try:
        # The library calls a snapshot absent that lacks a file of the repository, unless it is told which count.
        folder = Path(snapshot_download(repository, local_files_only=True, allow_patterns=[_USUAL_FILE]))
    except (OSError, ValueError):
        return None
    found = folder / (f"{file}{LORA_SUFFIX}" if file else _USUAL_FILE)
    if found.is_file():
        return found
    only = list(folder.glob(f"*{LORA_SUFFIX}"))
    return only[0] if not file and len(only) == 1 else None


def _in_hub(name: str) -> tuple[str, str]:
    """Return the repository that a name would be of, and the file in it."""
    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    return f"{owner}/{repository}", file


def _missing(name: str, folders: Sequence[Path]) -> str:
    names = sorted(file.stem for file in _all(folders))
    there = f"; there is {', '.join(map(printable, names[:_SHOWN]))}" if names else ""
    more = ", …" if len(names) > _SHOWN else ""
    repository, _ = _in_hub(name)
    hub = f". One of the hub: `producer download {repository} --lora` fetches it" if is_hub_id(repository) else ""
    return f"there is no {name}{LORA_SUFFIX} in {_names(folders)}{there}{more}{hub}"


def _all(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        for file in sorted(folder.rglob(f"*{LORA_SUFFIX}")):
            if file.resolve().is_relative_to(folder.resolve()):
                yield file


def _names(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders))
