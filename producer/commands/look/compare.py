"""`producer compare`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from models.figures.made_pictures import MadePicture, all_made_pictures
from models.figures.trainings import training_progress
from models.figures.variants import trials
from models.pictures.opening import open_store
from models.pictures.store import PictureStore
from models.records.batches import find_batch
from models.records.database import Database
from models.records.trainings.trainings import find_training
from models.records.trainings.validation import validation_name
from models.settings import load_settings
from models.training.config import TrainingConfig
from models.types.errors import BadInputError, StorageError
from models.types.printable import printable
from models.types.states import FINISHED, MADE, JobState
from producer.actions.checkpoints_of_training import keep_best, write_card
from producer.actions.enqueue import publish_jobs, record_batch
from producer.actions.reports.comparison import Comparison, compare
from producer.actions.reports.side_by_side import SameSeed, side_by_side
from producer.actions.reports.similarity import Similarity, similarities
from producer.commands.make.enqueue import amount, warn_of_prompts
from producer.commands.make.job_options import job_options, read_order
from producer.exports.contact_sheet import Cell, Row, pages
from producer.page.comparison import write_comparison
from producer.page.pictures import MOST_INLINE, shown_pictures, where_it_is
from producer.page.trainings import plots_of_training
from producer.prompts.axes import parse_axis, variant_of
from producer.terminal.comparison_table import comparison_table
from producer.terminal.progress_bar import progress_bar
from producer.terminal.tables import console

#: Rows of a sheet, and pictures of a page: more would not be looked through.
_ROWS, _MOST_PICTURES = 200, 5_000
#: Rows whose pictures are opened before a person waits for them.
_LONG = 20
#: Of a card, beside it.
_SHEET = "sheet.png"
#: What `--keep` without a number stands for.
_AS_TRAINED = object()


class _Kept(click.IntRange):
    """How many checkpoints stay."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or what stands for that of the training."""
        return value if value is _AS_TRAINED else super().convert(value, param, ctx)


@click.command
@click.argument("batch", required=False)
@job_options
@click.option(
    "--axis",
    "axes",
    multiple=True,
    metavar="FIELD=VALUE,VALUE",
    help="What the variants differ in, such as guidance=3,7.5 or lora=none,olive,shoes/; shoes/ is a folder of LoRAs.",
)
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path), help="PNG with a column for each variant.")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="A page with a column for each."
)
@click.option(
    "--similarity",
    is_flag=True,
    help="Measure how similar the pictures are to those of the first variant, by SSIM and PSNR; it opens them all.",
)
@click.option(
    "--card",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Of a training: write its card, its sheet and its best LoRA into a folder, to be given away.",
)
@click.option(
    "--keep",
    type=_Kept(1),
    is_flag=False,
    flag_value=_AS_TRAINED,
    metavar="[N]",
    help="Of a training: remove all checkpoints but the best N by their pictures; without N, all but its "
    "--checkpoints-total-limit.",
)
@click.option("--inline", is_flag=True, help=f"With --html: all in one file, up to {MOST_INLINE:,} pictures.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    batch: str | None,
    axes: tuple[str, ...],
    sheet: Path | None,
    html: Path | None,
    similarity: bool,
    card: Path | None,
    keep: Any,
    inline: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare variants of the same pictures: with --axis queue them, without it say what they show.

    Each prompt is made once for each combination of the values, with the same seeds; the first combination is what the
    others are held against. Then `producer compare BATCH` counts what the checks accept of each; for the name of a
    training, of each of its checkpoints.
    """
    if inline and html is None:
        raise click.UsageError("--inline is for --html FILE")
    if not axes:
        _show(batch, _Wanted(sheet, html, similarity, card, keep, inline, as_json))
        return
    if any(said not in (None, False) for said in (batch, sheet, html, similarity, card, keep, as_json)):
        raise click.UsageError("--axis queues a comparison; name BATCH or a file for one that is there")
    settings = load_settings()
    database = Database(settings.database)
    if options["target"] is not None:
        raise click.UsageError("--target makes rejected pictures again, and so would compare other seeds")
    if options["checks"] is not None:
        # Variants of a picture are meant to be near it.
        options["checks"] += ",-duplicates"
    try:
        parsed = [parse_axis(text, settings.places_of_loras) for text in axes]
    except ValueError as error:
        raise BadInputError([f"--axis {error}"]) from None
    order = read_order(settings, axes=parsed, **options)
    warn_of_prompts(order, settings)
    found, is_new = record_batch(database, order, progress_bar)
    published = publish_jobs(settings, database, len(order.plan.jobs), found.id, progress_bar)
    said = amount(order) if is_new else "it was asked for already"
    click.echo(f"{found.name}: {said}; {published:,} on the queue. `producer compare {found.name}` says what they show")
    ctx.exit(0)


@dataclass(frozen=True)
class _Wanted:
    """What is to be shown of a comparison beside its figures."""

    sheet: Path | None
    html: Path | None
    similarity: bool
    card: Path | None
    keep: Any
    inline: bool
    as_json: bool

    @property
    def looks_at_pictures(self) -> bool:
        """Whether it takes more than the rows of the record."""
        return self.similarity or any(file is not None for file in (self.sheet, self.html, self.card))


def _show(batch: str | None, wanted: _Wanted) -> None:
    settings = load_settings()
    database = Database(settings.database)
    with database.reading() as session:
        training = None if batch is None else find_training(session, batch)
        # Of a training, the pictures that were made with its checkpoints.
        found = find_batch(session, batch if training is None else validation_name(training.name))
        made = trials(session, found.id)
        learnt = None if training is None else training_progress(session, training)
    if learnt is None and (wanted.card is not None or wanted.keep is not None):
        raise click.UsageError("--card and --keep are for a training; name one")
    if not any(variant_of(trial.attributes) for trial in made):
        raise BadInputError([f"{found.name} compares nothing: `producer compare --axis` queues a batch that does"])
    judged = found.checks is not None or any(trial.state == JobState.REJECTED for trial in made)
    comparison = compare(made, is_judged=judged)
    variants = [one.variant for one in comparison.variants]
    store = open_store(settings)
    rows = side_by_side(all_made_pictures(database, found.id, MADE), variants) if wanted.looks_at_pictures else []
    similar = _similar(rows, variants, store) if wanted.similarity else None
    if wanted.as_json:
        click.echo(json.dumps(_json(comparison, similar), indent=2))
    else:
        console().print(comparison_table(comparison, f"Comparison {printable(found.name)}", similar))
        console().print(printable(comparison.verdict), soft_wrap=True)
    if learnt is not None and wanted.keep is not None:
        left = sum(trial.state not in FINISHED for trial in made)
        limit = TrainingConfig.model_validate(learnt.training.config).checkpoints_total_limit
        keep = limit if wanted.keep is _AS_TRAINED else wanted.keep
        removed = keep_best(settings, learnt, comparison, keep, left)
        click.echo(f"removed {len(removed):,} checkpoints" + (f": {', '.join(removed)}" if removed else ""))
    if wanted.sheet is None and wanted.html is None and wanted.card is None:
        return
    if not rows:
        raise BadInputError([f"{found.name}: no picture is there yet"])
    if wanted.sheet is not None:
        _draw(wanted.sheet, rows, variants, store)
    if wanted.card is not None and learnt is not None:
        written = write_card(settings, wanted.card, learnt, comparison, _SHEET)
        _draw(wanted.card / _SHEET, rows, variants, store)
        click.echo(f"{wanted.card}: the card of {written}, and both of its files")
    if (html := wanted.html) is not None:
        of_page = rows[: max(1, _MOST_PICTURES // len(variants))]
        pictures = [one for row in of_page for one in row.pictures if one is not None]
        shown = shown_pictures(html, pictures, store, inline=wanted.inline)
        plots = [] if learnt is None else plots_of_training(learnt.segments)
        left_out = len(rows) - len(of_page)
        write_comparison(html, found.name, comparison, of_page, shown, plots=plots, left_out=left_out)
        click.echo(where_it_is(html, pictures, inline=wanted.inline))


def _similar(rows: Sequence[SameSeed], variants: Sequence[str], store: PictureStore) -> list[Similarity | None]:
    with progress_bar("comparing pictures", len(rows), _LONG) as looked_at:
        return similarities(rows, store, looked_at) or [None] * len(variants)


def _json(comparison: Comparison, similar: Sequence[Similarity | None] | None) -> dict[str, Any]:
    found = asdict(comparison)
    for variant, one in zip(found["variants"], similar or (), strict=similar is not None):
        variant["similarity"] = None if one is None else asdict(one)
    return found


def _draw(file: Path, rows: Sequence[SameSeed], variants: Sequence[str], store: PictureStore) -> None:
    """Draw a row for each prompt and seed, and a column for each variant."""
    drawn, label = [], ""
    for row in rows[:_ROWS]:
        prompt = printable(row.prompt)
        drawn.append(
            Row([None if one is None else _cell(one, store) for one in row.pictures], "" if prompt == label else prompt)
        )
        label = prompt
    try:
        next(pages(drawn, list(map(printable, variants)), 160, len(drawn))).save(file, "PNG")
    except OSError as error:
        raise StorageError(f"{file} cannot be written ({error.strerror or error}); name another --sheet") from error
    of_all = f" of {len(rows):,}" if len(drawn) < len(rows) else ""
    click.echo(f"{file}: {len(drawn):,}{of_all} rows of {len(variants)} variants")


def _cell(made: MadePicture, store: PictureStore) -> Cell:
    caption = f"job {made.job_id}, seed {made.spec.seed}" + ("" if made.is_accepted else ": rejected")
    return Cell(partial(store.read, made.picture) if store.has(made.picture) else None, caption)
