"""Where LoRAs lie on this disk."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from models.types.errors import LoraError
from models.types.printable import printable

LORA_SUFFIX = ".safetensors"
#: Named where one is looked for in vain.
_SHOWN = 5


def local_lora(name: str, folders: Sequence[Path]) -> Path | None:
    """Return the file of a LoRA below these folders, by its path there or by its name alone; None where there is none.

    Raises:
        LoraError: there are several, or it lies elsewhere.
    """
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


def missing_lora(name: str, folders: Sequence[Path]) -> LoraError:
    """Return what there is to say of a LoRA that is not there."""
    names = sorted(file.stem for file in _all(folders))
    there = f"; there is {', '.join(map(printable, names[:_SHOWN]))}" if names else ""
    more = ", …" if len(names) > _SHOWN else ""
    return LoraError(f"LoRA {name}: there is no {name}{LORA_SUFFIX} in {_names(folders)}{there}{more}")


def _all(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        for file in sorted(folder.rglob(f"*{LORA_SUFFIX}")):
            if file.resolve().is_relative_to(folder.resolve()):
                yield file


def _names(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders))
