"""The LoRAs that a training left: which are kept once they were compared, and the card of the best."""

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


def best_first(settings: Settings, progress: TrainingProgress, comparison: Comparison) -> list[str]:
    """Return the names of those LoRAs of a training that are there, by how many pictures were accepted of each.

    Of several with as many, the last comes first.
    """
    names = dict.fromkeys(one.lora for one in progress.segments if one.lora is not None)
    there = [name for name in names if files_of(settings, name)[0].is_file()]
    accepted = {one.variant: one.accepted for one in comparison.variants}
    return sorted(there, key=lambda name: (accepted.get(name, 0), there.index(name)), reverse=True)


def keep_best(
    settings: Settings, progress: TrainingProgress, comparison: Comparison, keep: int, left: int
) -> Sequence[str]:
    """Remove all checkpoints but the best, so many; return which were removed.

    `left` of the pictures are yet to be made.

    Raises:
        BadInputError: not all that they are compared by is there yet.
    """
    name = progress.training.name
    if not progress.is_over or left:
        why = f"{left:,} of its pictures are yet to be made" if left else "its training goes on"
        raise BadInputError([f"--keep: {name} is not compared yet, {why}; nothing was removed"])
    others = best_first(settings, progress, comparison)[keep:]
    for lora in others:
        for file in files_of(settings, lora):
            file.unlink(missing_ok=True)
    return sorted(others)


def write_card(settings: Settings, folder: Path, progress: TrainingProgress, comparison: Comparison, sheet: str) -> str:
    """Write the card of a training, its best LoRA in both layouts beside it, and return that one's name.

    `sheet` is what the sheet of its pictures is called, which somebody else draws.

    Raises:
        BadInputError: no LoRA is there.
        StorageError: the folder cannot be written.
    """
    training = progress.training
    best = next(iter(best_first(settings, progress, comparison)), None)
    if best is None:
        raise BadInputError([f"{training.name}: no LoRA of it is there"])
    layouts = ("", "as diffusers reads it"), ("-kohya", "as A1111, ComfyUI and InvokeAI do")
    said = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, (ending, readers) in zip(files_of(settings, best), layouts, strict=True):
            copy = f"{training.name}{ending}{LORA_SUFFIX}"
            shutil.copyfile(file, folder / copy)
            said.append(f"`{copy}`, {readers}")
    except OSError as error:
        raise StorageError(f"{folder} cannot be written ({error.strerror or error}); name another folder") from error
    card = model_card(progress, best, _captions(training.data), comparison.verdict, sheet, said)
    write_text(folder / "README.md", card)
    return best


def _captions(folder: str) -> list[str]:
    try:
        return list(dict.fromkeys(one.caption for one in read_data_set(Path(folder)).learnt))
    except BadInputError:
        # It is not needed any more once a training has begun.
        return []
