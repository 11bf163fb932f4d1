"""`producer compare`."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from models.figures.made_pictures import all_made_pictures
from models.figures.variants import trials
from models.pictures.opening import open_store
from models.records.batches import find_batch
from models.records.database import Database
from models.settings import load_settings
from models.types.errors import BadInputError, StorageError
from models.types.printable import printable
from models.types.states import MADE, JobState
from producer.actions.enqueue import publish_jobs, record_batch
from producer.actions.reports.comparison import Comparison, compare
from producer.commands.make.enqueue import amount, warn_of_prompts
from producer.commands.make.job_options import job_options, read_order
from producer.exports.contact_sheet import Cell, pages, rows_by_attribute
from producer.format import NOT_MEASURED, seconds, size
from producer.prompts.axes import parse_axis, variant_of
from producer.terminal.progress_bar import progress_bar
from producer.terminal.tables import console, table

#: Rows of a sheet.
_ROWS = 200


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
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_context
def command(
    ctx: click.Context, /, batch: str | None, axes: tuple[str, ...], sheet: Path | None, as_json: bool, **options: Any
) -> None:
    """Compare variants of the same pictures: with --axis queue them, without it say what they show.

    Each prompt is made once for each combination of the values, with the same seeds; the first combination is what the
    others are held against. Then `producer compare BATCH` counts what the checks accept of each.
    """
    settings = load_settings()
    database = Database(settings.database)
    if not axes:
        _show(database, batch, sheet, as_json=as_json)
        return
    if batch is not None or sheet is not None or as_json:
        raise click.UsageError("--axis queues a comparison; BATCH, --sheet and --json are for one that is there")
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


def _show(database: Database, batch: str | None, sheet: Path | None, *, as_json: bool) -> None:
    with database.reading() as session:
        found = find_batch(session, batch)
        made = trials(session, found.id)
    if not any(variant_of(trial.attributes) for trial in made):
        raise BadInputError([f"{found.name} compares nothing: `producer compare --axis` queues a batch that does"])
    judged = found.checks is not None or any(trial.state == JobState.REJECTED for trial in made)
    comparison = compare(made, is_judged=judged)
    if as_json:
        click.echo(json.dumps(asdict(comparison), indent=2))
    else:
        _print(found.name, comparison)
    if sheet is not None:
        _draw(database, found.id, sheet)


def _print(name: str, comparison: Comparison) -> None:
    columns = ("pictures", "accepted", "95 of 100 times between", "won, lost", "seconds", "memory")
    shown = table(f"Comparison {printable(name)}", "variant", *columns, right=columns)
    for place, one in enumerate(comparison.variants):
        low, high = one.low, one.high
        shown.add_row(
            printable(one.variant),
            f"{one.pictures:,}",
            f"{one.accepted} of {one.judged}" if one.judged else NOT_MEASURED,
            NOT_MEASURED if low is None or high is None else f"{low:.0%} and {high:.0%}",
            f"{one.won}, {one.lost}" if place and one.judged else "",
            seconds(one.mean_s),
            size(one.peak_bytes),
        )
    console().print(shown)
    console().print(printable(comparison.verdict), soft_wrap=True)


def _draw(database: Database, batch_id: int, file: Path) -> None:
    """Draw a row for each prompt and seed, and a column for each variant."""
    store = open_store(load_settings())
    pictures = all_made_pictures(database, batch_id, MADE)
    cells = [
        (
            Cell(
                partial(store.read, one.picture) if store.has(one.picture) else None,
                f"job {one.job_id}, seed {one.spec.seed}" + ("" if one.is_accepted else ": rejected"),
            ),
            {"prompt": printable(one.spec.prompt), "variant": printable(variant_of(one.attributes))},
        )
        for one in pictures
    ]
    headings = list(dict.fromkeys(attributes["variant"] for _, attributes in cells))
    rows = rows_by_attribute(cells, "prompt", "variant")
    if not rows:
        raise BadInputError(["no picture is made yet"])
    try:
        next(pages(rows[:_ROWS], headings, 160, _ROWS)).save(file, "PNG")
    except OSError as error:
        raise StorageError(f"{file} cannot be written ({error.strerror or error}); name another --sheet") from error
    click.echo(f"{file}: {len(rows[:_ROWS]):,} rows of {len(headings)} variants")
