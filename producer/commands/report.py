"""`producer report`."""

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from models.database import Database
from models.hardware import paces
from models.settings import load_settings
from producer.bench_results import from_pace, print_results, read_bench_file
from producer.report import build_report
from producer.report_tables import print_report
from producer.terminal import console


@click.command
@click.argument("names", nargs=-1, metavar="[BATCH | FILE...]")
@click.option("--compare", is_flag=True, help="This machine beside the FILEs of `producer bench`.")
@click.option("--all", "everything", is_flag=True, help="All batches together.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; null is not measured.")
@click.option("--csv", "as_csv", is_flag=True, help="figure,value lines; an empty value is not measured.")
def command(names: tuple[str, ...], compare: bool, everything: bool, as_json: bool, as_csv: bool) -> None:
    """Say how fast it went and when it will be done, for BATCH or the newest batch; or compare machines."""
    if compare:
        if everything or as_json or as_csv or not names:
            raise click.UsageError("--compare takes FILEs and no other option")
        _compare([Path(name) for name in names])
        return
    if len(names) > 1:
        raise click.UsageError("name one BATCH; FILEs are for --compare")
    batch = names[0] if names else None
    if (batch and everything) or (as_json and as_csv):
        raise click.UsageError("BATCH and --all exclude each other, and so do --json and --csv")
    with Database(load_settings().database).reading() as session:
        report = build_report(session, batch, everything=everything)
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2, default=str))
    elif as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(("figure", "value"))
        writer.writerows(_flat(json.loads(json.dumps(report.as_dict(), default=str))))
    else:
        print_report(console(), report)


def _compare(files: Sequence[Path]) -> None:
    results = [result for file in files for result in read_bench_file(file)]
    with Database(load_settings().database).reading() as session:
        own = [from_pace(pace, "this machine, its newest pictures") for pace in paces(session)]
    print_results(console(), "Machines, seconds in steady state", own + results)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield nested figures as `speed.parts.encode.mean_s` and the like."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value
