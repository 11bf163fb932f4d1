"""What trainings keep on the disk that nobody needs once they are over, and removing it."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.pictures.store import Use, total
from models.records.database import Database
from models.records.trainings.trainings import KnownTraining, newest_trainings
from models.settings import Settings
from models.training.kept_files import ASIDE, HELD_OUT, PICTURES, STATES
from models.types.errors import BadInputError, StorageError
from models.types.states import FINISHED

#: Of them all; few people have so many.
_MOST = 1_000
#: In a training's folder: states, pictures as the device takes them, and the data set that was made of batches. LoRAs
#: in kohya's layout and figures for TensorBoard stay.
_NOT_NEEDED = (STATES, PICTURES, HELD_OUT, f".*{ASIDE}")
_DATA = "data"


@dataclass(frozen=True)
class KeptByTraining:
    """What a training keeps beside its LoRAs."""

    training: KnownTraining
    use: Use

    @property
    def is_over(self) -> bool:
        """Whether it may go; one that failed or was cancelled cannot go on without it."""
        return self.training.state in FINISHED


def what_trainings_keep(settings: Settings, database: Database) -> Sequence[KeptByTraining]:
    """Return what is there of each training that keeps something, the oldest first."""
    with database.reading() as session:
        trainings = newest_trainings(session, _MOST)
    found = [KeptByTraining(one, _use(_files(_folder(settings, one.name)))) for one in reversed(trainings)]
    return [one for one in found if one.use.files]


def remove_of_trainings(settings: Settings, database: Database, names: Iterable[str], *, dry_run: bool) -> Use:
    """Remove what these trainings keep beside their LoRAs, and return what that was; `dry_run` only counts.

    Raises:
        BadInputError: naming each that keeps nothing, or is not over.
        StorageError: if a file cannot be removed.
    """
    kept = {one.training.name: one for one in what_trainings_keep(settings, database)}
    wanted = list(dict.fromkeys(names))
    problems = []
    for name in wanted:
        if name not in kept:
            problems.append(f"{name}: no training of that name keeps anything; `producer gc` lists those that do")
        elif not kept[name].is_over:
            problems.append(f"{name}: is not done yet; `producer cancel {name}` ends it")
    if problems:
        raise BadInputError(problems)
    for name in wanted if not dry_run else ():
        folder = _folder(settings, name)
        try:
            for file in _files(folder):
                file.unlink(missing_ok=True)
            shutil.rmtree(folder / _DATA, ignore_errors=True)
        except OSError as error:
            raise StorageError(f"{error.filename} cannot be removed: {error.strerror or error}") from error
    return total(kept[name].use for name in wanted)


def _folder(settings: Settings, name: str) -> Path:
    return settings.data_dir / "trainings" / name


def _files(folder: Path) -> list[Path]:
    own = [file for pattern in _NOT_NEEDED for file in folder.glob(pattern)]
    return own + [file for file in (folder / _DATA).rglob("*") if file.is_file()]


def _use(files: Iterable[Path]) -> Use:
    # A training that goes on removes its states meanwhile; exports share pictures by links.
    found = [file.stat() for file in files if file.exists()]
    freed = sum(one.st_size for one in found if one.st_nlink == 1)
    return Use(len(found), sum(one.st_size for one in found), freed)
