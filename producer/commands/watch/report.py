"""`producer report`."""

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from models.figures.hardware import paces
from models.figures.made_pictures import MadePicture
from models.figures.trainings import training_progress
from models.figures.tuned import known_tuning
from models.pictures.opening import open_store
from models.records.batches import find_batch
from models.records.database import Database
from models.records.trainings.trainings import find_training
from models.settings import load_settings
from producer.actions.reports.bench_results import from_pace, read_bench_file
from producer.actions.reports.report import Report, build_report
from producer.files import write_text
from producer.page.pictures import MOST_INLINE, ShownPicture, shown_pictures, where_it_is
from producer.terminal.bench_tables import compared
from producer.terminal.report_tables import print_report
from producer.terminal.tables import console
from producer.terminal.training_tables import print_training, training_json


@click.command
@click.argument("names", nargs=-1, metavar="[BATCH | FILE...]")
@click.option("--compare", is_flag=True, help="This machine beside the FILEs of `producer bench`.")
@click.option("--all", "everything", is_flag=True, help="All batches together.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; null is not measured.")
@click.option("--csv", "as_csv", is_flag=True, help="figure,value lines; an empty value is not measured.")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="A page with plots and pictures."
)
@click.option("--inline", is_flag=True, help=f"With --html: all in one file, up to {MOST_INLINE:,} pictures.")
def command(
    names: tuple[str, ...],
    *,
    compare: bool,
    everything: bool,
    as_json: bool,
    as_csv: bool,
    html: Path | None,
    inline: bool,
) -> None:
    """Say how fast it went and when it will be done, for BATCH, a training or the newest batch; or compare machines.

    The page that --html writes holds all of the report, plots over time, and every picture, to be looked through with
    a browser. It needs no network. Small copies of the pictures lie beside it, for night.html in night-pictures.
    """
    if compare:
        if everything or as_json or as_csv or html or not names:
            raise click.UsageError("--compare takes FILEs and no other option")
        _compare([Path(name) for name in names])
        return
    if len(names) > 1:
        raise click.UsageError("name one BATCH; FILEs are for --compare")
    batch = names[0] if names else None
    if (batch and everything) or as_json + as_csv + (html is not None) > 1:
        raise click.UsageError("BATCH and --all exclude each other, and so do --json, --csv and --html")
    if inline and html is None:
        raise click.UsageError("--inline is for --html FILE")
    settings = load_settings()
    database = Database(settings.database)
    with database.reading() as session:
        training = None if batch is None else find_training(session, batch)
        learnt = None if training is None else training_progress(session, training)
    if learnt is not None:
        if as_csv or html is not None:
            raise click.UsageError("of a training there is --json, and `producer compare NAME --html FILE`")
        if as_json:
            click.echo(json.dumps(training_json(learnt), indent=2, default=str))
        else:
            print_training(console(), learnt)
        return
    with database.reading() as session:
        report = build_report(session, batch, everything=everything, tuning=known_tuning(settings.data_dir))
    if html is not None:
        _write_page(html, report, None if everything else report.scope, inline=inline)
    elif as_json:
        click.echo(json.dumps(report.as_dict(), indent=2, default=str))
    elif as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(("figure", "value"))
        writer.writerows(_flat(json.loads(json.dumps(report.as_dict(), default=str))))
    else:
        print_report(console(), report)


def _write_page(file: Path, report: Report, batch: str | None, *, inline: bool) -> None:
    # Imported here, since what finds the colours that prompts name takes a while, and no other report needs it.
    from producer.page.report import report_page

    settings = load_settings()
    database = Database(settings.database)
    with database.reading() as session:
        batch_id = None if report.progress is None else find_batch(session, batch).id
    store = open_store(settings)
    pictures: list[MadePicture] = []

    def shown(made: Sequence[MadePicture]) -> Iterator[ShownPicture]:
        pictures.extend(made)
        return shown_pictures(file, made, store, inline=inline)

    write_text(file, report_page(database, report, batch_id, shown))
    click.echo(where_it_is(file, pictures, inline=inline))


def _compare(files: Sequence[Path]) -> None:
    results = [result for file in files for result in read_bench_file(file)]
    with Database(load_settings().database).reading() as session:
        own = [from_pace(pace, "this machine, its newest pictures") for pace in paces(session)]
    out = console()
    for part in compared("Machines, seconds in steady state", own + results):
        out.print(part)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield nested figures as `speed.parts.encode.mean_s` and the like."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value
