"""`producer report`."""

import csv
import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from models.database import Database
from models.settings import load_settings
from producer.report import build_report
from producer.report_tables import print_report
from producer.terminal import console


@click.command
@click.argument("batch", required=False)
@click.option("--all", "everything", is_flag=True, help="All batches together.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; null is not measured.")
@click.option("--csv", "as_csv", is_flag=True, help="figure,value lines; an empty value is not measured.")
def command(batch: str | None, everything: bool, as_json: bool, as_csv: bool) -> None:
    """Say how fast it went and when it will be done, for BATCH or the newest batch."""
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


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield nested figures as `speed.parts.encode.mean_s` and the like."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value
