"""`producer export`."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import click

from models.figures.made_pictures import MadePicture, all_made_pictures
from models.pictures.store import PictureStore
from models.records.batches import find_batch
from models.records.database import Database
from models.records.removal import mark_exported, removed_pictures
from models.records.tables import Batch
from models.settings import load_settings
from models.types.errors import BadInputError, StorageError
from models.types.states import MADE, JobState
from producer.exports.captions import PROMPT, Caption
from producer.exports.card import card
from producer.exports.columns import columns_of, plain_text
from producer.exports.distinct import distinct
from producer.exports.folder import ExportFolder
from producer.exports.layouts import LAYOUTS
from producer.exports.resizing import Fit, Resizing
from producer.exports.sample import Sample
from producer.exports.split import TEST, TRAIN, prompts_for_testing
from producer.files import write_text
from producer.terminal.progress_bar import progress_bar

_LONG = 200


@click.command
@click.argument("batches", nargs=-1, required=True, metavar="BATCH…")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--format", "layout", type=click.Choice(list(LAYOUTS)), default="imagefolder", show_default=True)
@click.option("--all", "everything", is_flag=True, help="The rejected pictures, too.")
@click.option(
    "--caption",
    default=f"{{{PROMPT}}}",
    show_default=True,
    help="Template: {prompt}, {ATTRIBUTE} of a template, and words of your own, such as a trigger word.",
)
@click.option(
    "--test", type=click.FloatRange(0, 0.5), default=0.0, show_default=True, help="Share of prompts for testing."
)
@click.option(
    "--distinct", "is_distinct", is_flag=True, help="Leave out what is nearly the same as an earlier picture."
)
@click.option("--size", metavar="WIDTHxHEIGHT", help="Bring each picture to this size. Default: as they were made.")
@click.option(
    "--fit",
    type=click.Choice([fit.value for fit in Fit]),
    default=Fit.PAD.value,
    show_default=True,
    help="With --size, for other proportions: white beside the picture, or what stands out cut off.",
)
@click.option("--name", default="shoe", show_default=True, help="What kohya's folder REPEATS_NAME is called.")
@click.option(
    "--repeats", type=click.IntRange(1), default=10, show_default=True, help="Times that kohya takes each picture."
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    batches: tuple[str, ...],
    folder: Path,
    *,
    layout: str,
    everything: bool,
    caption: str,
    test: float,
    is_distinct: bool,
    size: str | None,
    fit: str,
    name: str,
    repeats: int,
) -> None:
    """Put the accepted pictures of the batches into DIR as a data set, with captions and a card.

    Pictures are hard links where the disk has them; with --size they are others, which `producer gc` does not count.
    DIR is there whole or not at all: a command that was cut short goes on where it was, and one that finds something
    else in DIR leaves it alone.
    """
    if not name or "/" in name or name.startswith("."):
        raise BadInputError([f"--name {name!r}: use letters, digits, dashes and spaces"])
    try:
        template = Caption(caption)
    except ValueError as error:
        raise BadInputError([f"--caption: {error}"]) from None
    try:
        resizing = None if size is None else Resizing.of(size, Fit(fit))
    except ValueError as error:
        raise BadInputError([f"--size: {error}"]) from None
    settings = load_settings()
    database = Database(settings.database)
    with database.reading() as session:
        found = [find_batch(session, batch) for batch in dict.fromkeys(batches)]
    store = PictureStore(settings.data_dir)
    states = MADE if everything else (JobState.SUCCEEDED,)
    _warn_of_removed(database, found, states)
    pictures = [made for batch in found for made in all_made_pictures(database, batch.id, states)]
    alike = 0
    if is_distinct:
        with progress_bar("looking for near duplicates", len(pictures), long=_LONG) as advance:
            chosen = distinct(pictures, store, advance)
        alike, pictures = len(pictures) - len(chosen), chosen
    samples = _samples(pictures, store, template, test, resizing)
    manifest = {
        "format": layout,
        "batches": [batch.name for batch in found],
        "name": name,
        "repeats": repeats,
        "size": None if resizing is None else str(resizing),
        "samples": len(samples),
        "digest": _digest(samples),
    }
    # Of one that was brought to another size, no export has what `gc` would remove.
    whole = pictures if resizing is None else []
    place = ExportFolder(folder, manifest)
    ctx.with_resource(place.alone(settings.data_dir))
    if place.is_done():
        _mark(database, whole)
        click.echo(f"{folder} holds this very export already: {len(samples):,} pictures")
        return
    place.begin()
    with progress_bar("exporting", len(samples), long=_LONG) as advance:
        LAYOUTS[layout].write(place.work, samples, name=name, repeats=repeats, advance=advance)
    written = LAYOUTS[layout].count(place.work)
    if written != Counter(sample.split for sample in samples):
        raise StorageError(
            f"{folder}: {written.total():,} of {len(samples):,} pictures can be read back, so it was not finished; "
            f"take {place.work} away and try again"
        )
    remarks = [f"Each picture was brought to {resizing}."] if resizing else []
    remarks += [f"{alike:,} pictures that are nearly the same as an earlier one were left out."] if is_distinct else []
    write_text(place.work / "README.md", card(folder.name, layout, samples, {b.name: b.checks for b in found}, remarks))
    place.finish()
    _mark(database, whole)
    click.echo(
        f"{folder}: {written[TRAIN]:,} pictures for training"
        + (f", {written[TEST]:,} for testing" if test else "")
        + (f"; {alike:,} near duplicates were left out" if is_distinct else "")
    )


def _mark(database: Database, pictures: Sequence[MadePicture]) -> None:
    """Note what the export has; where it was killed before, the same command does so."""
    with database.writing() as session:
        mark_exported(session, [made.job_id for made in pictures])


def _warn_of_removed(database: Database, batches: Sequence[Batch], states: Collection[JobState]) -> None:
    for batch in batches:
        with database.reading() as session:
            removed = removed_pictures(session, batch.id, states)
        if removed:
            click.echo(
                f"producer: warning: {removed:,} pictures of {batch.name} have been removed and are left out", err=True
            )


def _samples(
    pictures: Sequence[MadePicture], store: PictureStore, template: Caption, test: float, resizing: Resizing | None
) -> list[Sample]:
    """Return the samples.

    Raises:
        BadInputError: if there are none, or naming the first whose caption or file is not to be had.
    """
    if not pictures:
        raise BadInputError(["no picture of these batches is accepted; `producer status BATCH` says how they stand"])
    tested = prompts_for_testing({made.spec.prompt for made in pictures}, test)
    problems: list[str] = []
    samples = []
    for made, columns in zip(pictures, columns_of(pictures), strict=True):
        file = store.where(made.picture)
        if not file.exists():
            problems.append(
                f"job {made.job_id}: {file} is not there any more; bring it back, or `producer reject {made.job_id}`"
            )
            continue
        try:
            text = template.of(made.spec.prompt, made.attributes)
        except ValueError as error:
            raise BadInputError([f"--caption: job {made.job_id} of {made.batch}: {error}"]) from None
        split = TEST if made.spec.prompt in tested else TRAIN
        # WebDataset ends a sample's key at the first dot, and a batch may be called after `shoes v1.5.txt`.
        key = f"{made.batch.replace('.', '_')}-{made.job_id:08d}"
        samples.append(Sample(key, file, plain_text(text), split, columns, resizing))
    if problems:
        raise BadInputError(problems)
    return samples


def _digest(samples: Sequence[Sample]) -> str:
    digest = hashlib.sha256()
    for sample in samples:
        plain = replace(sample, file=Path(sample.file.name))
        digest.update(json.dumps([plain.key, plain.caption, plain.split, dict(plain.columns)], sort_keys=True).encode())
    return digest.hexdigest()
