"""What a training has on the disk: its state, its pictures as the device takes them, and the LoRAs that come of it."""

import os
from pathlib import Path

from models.durable_files import rename_durably, write_durably, writing_explained
from models.lora_files import LORA_SUFFIX
from models.settings import Settings
from models.types.errors import TrainingError

_EXAMPLES, _HELD_OUT, _KOHYA = "pictures.safetensors", "held-out.safetensors", "kohya"
_ASIDE = ".aside"


class TrainingFiles:
    """Those of one training, below the data folder; LoRAs are where jobs may take them from."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._folder = settings.data_dir / "trainings" / name
        self._loras = settings.places_of_loras[0] / name
        self._name = name

    def read_state(self, state_file: str) -> bytes:
        """Return a state that was written.

        Raises:
            TrainingError: it cannot be read.
        """
        file = self._folder / state_file
        try:
            return file.read_bytes()
        except OSError as error:
            raise TrainingError(
                f"its state {file} cannot be read ({error.strerror}): bring it back, or train once more by another name"
            ) from error

    def write_state(self, state_file: str, content: bytes) -> None:
        """Write a state under a name that no other has.

        Raises:
            StorageError: there is no room, or the folder cannot be written.
        """
        write_durably(self._folder / state_file, content)

    def keep_state(self, kept: str) -> None:
        """Remove all states but the one that the record names, and what a segment left aside that was cut short."""
        for file in self._folder.glob("state-*.pt"):
            if file.name != kept:
                file.unlink(missing_ok=True)
        for folder in (self._loras, self._folder, self._folder / _KOHYA):
            for file in folder.glob(f"*{_ASIDE}"):
                file.unlink(missing_ok=True)

    def read_pictures(self) -> tuple[bytes, bytes | None] | None:
        """Return what is learnt from and what is held out, as they were written; None where they were not."""
        examples, held_out = self._folder / _EXAMPLES, self._folder / _HELD_OUT
        if not examples.exists():
            return None
        return examples.read_bytes(), held_out.read_bytes() if held_out.exists() else None

    def write_pictures(self, learnt: bytes, held_out: bytes | None) -> None:
        """Write what is learnt from last: where that is there, all is.

        Raises:
            StorageError: there is no room, or the folder cannot be written.
        """
        if held_out is not None:
            self._write(self._folder / _HELD_OUT, held_out, self._folder / f".{os.getpid()}{_ASIDE}")
        self._write(self._folder / _EXAMPLES, learnt, self._folder / f".{os.getpid()}{_ASIDE}")

    @property
    def tensorboard(self) -> Path:
        """Where figures for TensorBoard lie."""
        return self._folder / "tensorboard"

    def lora_name(self, step: int) -> str:
        """Return what jobs call the LoRA of so many steps."""
        return f"{self._name}/{self._name}-{step:06d}"

    def lora_files(self, step: int) -> tuple[Path, Path]:
        """Return where that is, in diffusers' layout and in kohya's."""
        named = f"{self._name}-{step:06d}{LORA_SUFFIX}"
        return self._loras / named, self._folder / _KOHYA / named

    def write_lora(self, step: int, segment_id: int, of_diffusers: bytes, of_kohya: bytes) -> None:
        """Write the LoRA of so many steps in both layouts, each whole or not at all.

        Raises:
            StorageError: there is no room, or a folder cannot be written.
        """
        for file, content in zip(self.lora_files(step), (of_diffusers, of_kohya), strict=True):
            # Beside its place: folders may be on two disks.
            self._write(file, content, file.with_name(f".{segment_id}{_ASIDE}"))

    def _write(self, file: Path, content: bytes, aside: Path) -> None:
        write_durably(aside, content, file)
        with writing_explained(file):
            rename_durably(aside, file)
