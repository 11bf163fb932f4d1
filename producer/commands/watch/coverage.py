"""`producer coverage`."""

import json

import click

from models.figures.coverage import coverage
from models.records.batches import find_batch
from models.records.database import Database
from models.settings import load_settings
from producer.terminal.coverage_table import coverage_table
from producer.terminal.tables import console


@click.command
@click.argument("batch", required=False)
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
def command(batch: str | None, as_json: bool) -> None:
    """Show how many pictures of each combination of attributes are accepted, missing and rejected, and why.

    Attributes are what a template chose, such as colour and kind. Missing are pictures of BATCH, or of the newest
    batch, that were asked for and are not accepted yet.
    """
    with Database(load_settings().database).reading() as session:
        found = find_batch(session, batch)
        combinations = coverage(session, found.id)
    if as_json:
        rows = [vars(one) | {"missing": one.missing} for one in combinations]
        click.echo(json.dumps({"batch": found.name, "combinations": rows}, indent=2))
        return
    if not any(one.attributes for one in combinations):
        click.echo(f"{found.name}: no template chose attributes for it, so this is all of it")
    console().print(coverage_table(combinations))
