"""The LoRAs that a training left: which are kept once they were compared, and the card of the last."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from models.figures.trainings import TrainingProgress
from models.lora_files import LORA_SUFFIX
from models.settings import Settings
from models.training.data_set import read_data_set
from models.types.errors import BadInputError, StorageError
from producer.actions.reports.comparison import Comparison
from producer.exports.model_card import model_card
from producer.files import write_text


def files_of(settings: Settings, lora: str) -> list[Path]:
    """Return where a checkpoint's LoRA lies, in diffusers' layout and in kohya's."""
    name, _, file = lora.partition("/")
    return [
        settings.places_of_loras[0] / f"{lora}{LORA_SUFFIX}",
        settings.data_dir / "trainings" / name / "kohya" / f"{file}{LORA_SUFFIX}",
    ]


def checkpoints_left(settings: Settings, progress: TrainingProgress) -> list[str]:
    """Return the names of those LoRAs of a training that are there, in the order of their steps."""
    names = [one.lora for one in progress.segments if one.lora is not None]
    return [name for name in dict.fromkeys(names) if files_of(settings, name)[0].is_file()]


def keep_best(
    settings: Settings, progress: TrainingProgress, comparison: Comparison, keep: int, left: int
) -> Sequence[str]:
    """Remove all checkpoints but so many, the ones of which most pictures were accepted and then the last; return them.

    `left` of the pictures are yet to be made.

    Raises:
        BadInputError: not all that they are compared by is there yet.
    """
    name = progress.training.name
    if not progress.is_over or left:
        why = f"{left:,} of its pictures are yet to be made" if left else "its training goes on"
        raise BadInputError([f"--keep: {name} is not compared yet, {why}; nothing was removed"])
    accepted = {one.variant: one.accepted for one in comparison.variants}
    there = checkpoints_left(settings, progress)
    best = sorted(there, key=lambda name: (accepted.get(name, 0), there.index(name)), reverse=True)
    for lora in best[keep:]:
        for file in files_of(settings, lora):
            file.unlink(missing_ok=True)
    return sorted(best[keep:])


def write_card(settings: Settings, folder: Path, progress: TrainingProgress, verdict: str, sheet: str) -> str:
    """Write the card of a training, its last LoRA in both layouts beside it, and return that one's name.

    `sheet` is what the sheet of its pictures is called, which somebody else draws.

    Raises:
        BadInputError: no LoRA is there.
        StorageError: the folder cannot be written.
    """
    training, there = progress.training, checkpoints_left(settings, progress)
    if not there:
        raise BadInputError([f"{training.name}: no LoRA of it is there"])
    layouts = ("", "as diffusers reads it"), ("-kohya", "as A1111, ComfyUI and InvokeAI do")
    said = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, (ending, readers) in zip(files_of(settings, there[-1]), layouts, strict=True):
            copy = f"{training.name}{ending}{LORA_SUFFIX}"
            shutil.copyfile(file, folder / copy)
            said.append(f"`{copy}`, {readers}")
    except OSError as error:
        raise StorageError(f"{folder} cannot be written ({error.strerror or error}); name another folder") from error
    write_text(folder / "README.md", model_card(progress, _captions(training.data), verdict, sheet, said))
    return there[-1]


def _captions(folder: str) -> list[str]:
    try:
        return list(dict.fromkeys(one.caption for one in read_data_set(Path(folder)).learnt))
    except BadInputError:
        # It is not needed any more once a training has begun.
        return []
