"""What a training has on the disk: its state, its pictures as the device takes them, and the LoRAs that come of it."""

import os
from pathlib import Path

from models.durable_files import rename_durably, write_durably, writing_explained
from models.lora_files import LORA_SUFFIX
from models.settings import Settings
from models.training.kept_files import ASIDE, HELD_OUT, PICTURES, STATES, sealed, unsealed
from models.types.errors import TrainingError, lacks_file_handle
from worker.events import Event
from worker.log import event, log

_KOHYA = "kohya"


class TrainingFiles:
    """Those of one training, below the data folder; LoRAs are where jobs may take them from."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._folder = settings.data_dir / "trainings" / name
        self._loras = settings.places_of_loras[0] / name
        self._name = name

    def read_state(self, name: str) -> bytes:
        """Return a state that was written.

        Raises:
            TrainingError: it cannot be read, or is not as it was written.
        """
        if (state := _read(self._folder / name)) is None:
            raise TrainingError(
                f"its state {self._folder / name} is gone, or not as it was written: bring it back, and "
                f"`producer retry {self._name}`; or train once more by another name"
            )
        return state

    def write_state(self, name: str, content: bytes) -> None:
        """Write a state under a name that no other has.

        Raises:
            StorageError: there is no room, or the folder cannot be written.
        """
        write_durably(self._folder / name, sealed(content))

    def keep_state(self, kept: str) -> None:
        """Remove all states but the one that the record names, and what a segment left aside that was cut short."""
        for file in self._folder.glob(STATES):
            if file.name != kept:
                file.unlink(missing_ok=True)
        for folder in (self._loras, self._folder, self._folder / _KOHYA):
            for file in folder.glob(f"*{ASIDE}"):
                file.unlink(missing_ok=True)

    def forget_state(self, name: str) -> None:
        """Remove a state."""
        (self._folder / name).unlink(missing_ok=True)

    def read_pictures(self) -> tuple[bytes, bytes | None] | None:
        """Return what is learnt from and what is held out, as they were written; None where that is gone."""
        files = self._folder / PICTURES, self._folder / HELD_OUT
        if not files[0].exists():
            return None
        learnt, held_out = (_read(file) for file in files)
        if learnt is None or (held_out is None and files[1].exists()):
            log.warning(
                "training %s: its encoded pictures are not as they were written; they are encoded once more",
                self._name,
                extra=event(Event.PICTURES_SPOILT),
            )
            return None
        return learnt, held_out

    def write_pictures(self, learnt: bytes, held_out: bytes | None) -> None:
        """Write what is learnt from last: where that is there, all is.

        Raises:
            StorageError: there is no room, or the folder cannot be written.
        """
        aside = self._folder / f".{os.getpid()}{ASIDE}"
        if held_out is not None:
            self._write(self._folder / HELD_OUT, sealed(held_out), aside)
        self._write(self._folder / PICTURES, sealed(learnt), aside)

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
            self._write(file, content, file.with_name(f".{segment_id}{ASIDE}"))

    def _write(self, file: Path, content: bytes, aside: Path) -> None:
        write_durably(aside, content, file)
        with writing_explained(file):
            rename_durably(aside, file)


def _read(file: Path) -> bytes | None:
    """Return what was written; None where it is gone, or a disk has lost any of it."""
    try:
        return unsealed(file.read_bytes())
    except OSError as error:
        if lacks_file_handle(error):
            raise
        return None
