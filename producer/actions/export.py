"""Making a data set of the pictures of batches."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.figures.made_pictures import MadePicture, all_made_pictures
from models.pictures.opening import open_store
from models.pictures.store import PictureStore
from models.records.batches import find_batch
from models.records.database import Database
from models.records.removal import mark_exported, removed_pictures
from models.settings import Settings
from models.types.errors import BadInputError, StorageError
from models.types.states import MADE, JobState
from producer.actions.examiners import distinct
from producer.actions.progress import Progress, unseen
from producer.exports.captions import Caption
from producer.exports.card import card
from producer.exports.columns import columns_of, plain_text
from producer.exports.folder import ExportFolder
from producer.exports.layouts import LAYOUTS
from producer.exports.resizing import Resizing
from producer.exports.sample import TEST, TRAIN, Sample, prompts_for_testing
from producer.files import write_text
from producer.prompts.problems import Problems

#: Pictures from which on progress is worth showing.
_LONG = 200


@dataclass(frozen=True)
class DataSet:
    """What a data set is to be like."""

    layout: str
    caption: Caption
    #: Share of prompts for testing.
    test: float = 0.0
    #: Whether rejected pictures are in it, too.
    everything: bool = False
    #: Whether what is nearly the same as an earlier picture is left out.
    is_distinct: bool = False
    #: None: pictures are as they were made.
    resizing: Resizing | None = None
    #: What kohya's folder is called, and how often it takes each picture.
    name: str = "product"
    repeats: int = 10


@dataclass(frozen=True)
class Exported:
    """What was written."""

    train: int
    test: int
    #: Whether an earlier command had written this very export.
    was_done: bool
    near_duplicates: int
    #: How many pictures of each batch have been removed, where there are such.
    removed: Mapping[str, int]


def export(
    settings: Settings,
    database: Database,
    batches: Sequence[str],
    folder: Path,
    wanted: DataSet,
    progress: Progress = unseen,
) -> Exported:
    """Put the accepted pictures of these batches into the folder, which is there whole or not at all.

    Raises:
        NotFoundError: naming a batch that there is not.
        BadInputError: if there is no picture, one is gone, a caption cannot be made, or the folder is another's.
        StorageError: if it cannot be written.
    """
    with database.reading() as session:
        found = [find_batch(session, batch) for batch in dict.fromkeys(batches)]
    store = open_store(settings)
    states = MADE if wanted.everything else (JobState.SUCCEEDED,)
    with database.reading() as session:
        removed = {batch.name: removed_pictures(session, batch.id, states) for batch in found}
    pictures = [made for batch in found for made in all_made_pictures(database, batch.id, states)]
    if not pictures:
        gone = [f"{count:,} pictures of {name} have been removed" for name, count in removed.items() if count]
        advice = "`producer status BATCH` says how they stand"
        raise BadInputError(["; ".join(["no picture of these batches is accepted", *gone, advice])])
    alike = 0
    if wanted.is_distinct:
        with progress("looking for near duplicates", len(pictures), long=_LONG) as advance:
            chosen = distinct(pictures, store, advance)
        alike, pictures = len(pictures) - len(chosen), chosen
    samples = _samples(pictures, store, wanted.caption, wanted.test, wanted.resizing)
    counts = Counter(sample.split for sample in samples)
    manifest = {
        "format": wanted.layout,
        "batches": [batch.name for batch in found],
        "name": wanted.name,
        "repeats": wanted.repeats,
        "size": None if wanted.resizing is None else str(wanted.resizing),
        "samples": len(samples),
        "digest": _digest(samples),
    }
    # Of one that was brought to another size, no export has what `gc` would remove.
    whole = pictures if wanted.resizing is None else []
    place = ExportFolder(folder, manifest)
    with place.alone(settings.data_dir):
        was_done = place.is_done()
        if not was_done:
            place.begin()
            remarks = [f"Each picture was brought to {wanted.resizing}."] if wanted.resizing else []
            if wanted.is_distinct:
                remarks.append(f"{alike:,} pictures that are nearly the same as an earlier one were left out.")
            checks = {batch.name: batch.checks for batch in found}
            _write(place, samples, counts, wanted, card(folder.name, wanted.layout, samples, checks, remarks), progress)
        _mark(database, whole)
    return Exported(counts[TRAIN], counts[TEST], was_done, alike, {name: n for name, n in removed.items() if n})


def _write(
    place: ExportFolder,
    samples: Sequence[Sample],
    counts: Mapping[str, int],
    wanted: DataSet,
    read_me: str,
    progress: Progress,
) -> None:
    layout = LAYOUTS[wanted.layout]
    with progress("exporting", len(samples), long=_LONG) as advance:
        layout.write(place.work, samples, name=wanted.name, repeats=wanted.repeats, advance=advance)
    written = layout.count(place.work)
    if written != counts:
        raise StorageError(
            f"{place.target}: {written.total():,} of {len(samples):,} pictures can be read back, so it was not "
            f"finished; take {place.work} away and try again"
        )
    write_text(place.work / "README.md", read_me)
    place.finish()


def _mark(database: Database, pictures: Sequence[MadePicture]) -> None:
    """Note what the export has; where it was killed before, the same command does so."""
    with database.writing() as session:
        mark_exported(session, [made.job_id for made in pictures])


def _samples(
    pictures: Sequence[MadePicture], store: PictureStore, template: Caption, test: float, resizing: Resizing | None
) -> list[Sample]:
    """Return the samples.

    Raises:
        BadInputError: naming the first files that are not there, or the caption that cannot be had.
    """
    tested = prompts_for_testing({made.spec.prompt for made in pictures}, test)
    problems = Problems()
    samples = []
    for made, columns in zip(pictures, columns_of(pictures), strict=True):
        if not store.has(made.picture):
            gone = f"{store.shown(made.picture)} is not there any more"
            problems.add(f"job {made.job_id}", f"{gone}; bring it back, or `producer reject {made.job_id}`")
            continue
        try:
            text = template.of(made.spec.prompt, made.attributes)
        except ValueError as error:
            raise BadInputError([f"--caption: job {made.job_id} of {made.batch}: {error}"]) from None
        split = TEST if made.spec.prompt in tested else TRAIN
        # WebDataset ends a sample's key at the first dot, and a batch may be called after `shoes v1.5.txt`.
        key = f"{made.batch.replace('.', '_')}-{made.job_id:08d}"
        samples.append(Sample(key, store, made.picture, plain_text(text), split, columns, resizing))
    problems.refuse()
    return samples


def _digest(samples: Sequence[Sample]) -> str:
    digest = hashlib.sha256()
    for sample in samples:
        what = [sample.key, sample.caption, sample.split, dict(sample.columns)]
        digest.update(json.dumps(what, sort_keys=True).encode())
    return digest.hexdigest()
