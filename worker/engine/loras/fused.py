"""LoRAs in use: added to the weights themselves, so that a step takes as long as without them.

Switching puts back what was there, to the bit: subtracting what was added would leave what rounding made of it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from models.lora_files import find_lora
from models.types.lora import Lora
from models.types.measurement import UsedLora
from worker.engine.denoising.packed import weight_of
from worker.engine.loras.file import FileVersion, LoraFile, read_lora
from worker.engine.loras.layouts import Change, changes

#: Bytes of files that are kept, the ones used last.
_KEPT = 1 << 29


class LoraFiles:
    """Reads LoRAs, and keeps some of those that were read."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = list(folders)
        self._read: OrderedDict[Path, LoraFile] = OrderedDict()

    @staticmethod
    def is_still_there(file: LoraFile) -> bool:
        """Tell whether a file is what it was when it was read; of one that is gone, what was read is enough."""
        try:
            return FileVersion.of(file.version.path) == file.version
        except OSError:
            return True

    def read(self, name: str) -> LoraFile:
        """Return what a LoRA's file holds at this moment.

        Raises:
            LoraError: as `find_lora` and `read_lora` do.
        """
        path = find_lora(name, self._folders)
        read = self._read.get(path)
        if read is None or not self.is_still_there(read):
            self._read[path] = read = read_lora(path)
        self._read.move_to_end(path)
        while len(self._read) > 1 and sum(file.size for file in self._read.values()) > _KEPT:
            self._read.popitem(last=False)
        return read


class FusedLoras:
    """The LoRAs of one loaded pipeline."""

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        """Have no LoRA be in use yet."""
        self._parts = parts
        #: The weights of the layers that are changed, as they were loaded.
        self._loaded: dict[nn.Module, Tensor] = {}
        self._asked: tuple[Lora, ...] = ()
        self._files: tuple[LoraFile, ...] = ()

    @property
    def used(self) -> tuple[UsedLora, ...]:
        """Those in use."""
        pairs = zip(self._asked, self._files, strict=True)
        return tuple(UsedLora(lora.stem, lora.scale, file.sha256) for lora, file in pairs)

    @torch.no_grad()
    def use(self, loras: Sequence[Lora], files: LoraFiles) -> bool:
        """Have these be in use and no others, and return whether others were before; after an error none is.

        Raises:
            LoraError: naming the file that cannot be used.
        """
        asked = tuple(loras)
        if asked == self._asked and all(map(files.is_still_there, self._files)):
            return False
        wanted: dict[nn.Module, list[tuple[float, Change]]] = {}
        try:
            read = tuple(files.read(lora.name) for lora in asked)
            for lora, file in zip(asked, read, strict=True):
                for module, change in changes(file, self._parts).items():
                    wanted.setdefault(module, []).append((lora.scale, change))
            self._put_back(self._loaded.keys() - wanted.keys())
            self._add(wanted)
        except BaseException:
            # A file may be none, and memory may run out half-way.
            self._put_back(self._loaded.keys())
            self._asked = self._files = ()
            raise
        self._asked, self._files = asked, read
        return True

    def _add(self, wanted: Mapping[nn.Module, Sequence[tuple[float, Change]]]) -> None:
        for module, parts in wanted.items():
            weight = weight_of(module)
            if module not in self._loaded:
                self._loaded[module] = weight.clone()
            # In place: what was compiled or recorded of the pipeline goes on with it.
            weight.copy_(self._loaded[module])
            total = weight.float()
            for scale, change in parts:
                total.add_(change.delta(weight), alpha=scale)
            if total is not weight:
                weight.copy_(total)

    def _put_back(self, modules: Iterable[nn.Module]) -> None:
        for module in list(modules):
            weight_of(module).copy_(self._loaded.pop(module))
