"""`producer export`."""

from pathlib import Path

import click

from models.records.database import Database
from models.settings import load_settings
from models.types.errors import BadInputError
from producer.actions.export import DataSet, export
from producer.exports.captions import PROMPT, Caption
from producer.exports.layouts import LAYOUTS
from producer.exports.resizing import Fit, Resizing
from producer.terminal.progress_bar import progress_bar


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
@click.option("--name", default="product", show_default=True, help="What kohya's folder REPEATS_NAME is called.")
@click.option(
    "--repeats", type=click.IntRange(1), default=10, show_default=True, help="Times that kohya takes each picture."
)
def command(
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
    wanted = DataSet(layout, template, test, everything, is_distinct, resizing, name, repeats)
    done = export(settings, Database(settings.database), batches, folder, wanted, progress_bar)
    for batch, count in done.removed.items():
        click.echo(f"producer: warning: {count:,} pictures of {batch} have been removed and are left out", err=True)
    if done.was_done:
        click.echo(f"{folder} holds this very export already: {done.train + done.test:,} pictures")
        return
    click.echo(
        f"{folder}: {done.train:,} pictures for training"
        + (f", {done.test:,} for testing" if test else "")
        + (f"; {done.near_duplicates:,} near duplicates were left out" if is_distinct else "")
    )
