"""`producer coverage`."""

import json

import click

from models.batches import find_batch
from models.coverage import Coverage, coverage
from models.database import Database
from models.printable import printable
from models.settings import load_settings
from producer.terminal import console, table

_COUNTS = ("asked", "accepted", "missing", "to come", "rejected")


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
    names = list(dict.fromkeys(name for one in combinations for name in one.attributes))
    if not names:
        click.echo(f"{found.name}: no template chose attributes for it, so this is all of it")
    shown = table(None, *map(printable, names), *_COUNTS, "why", right=_COUNTS)
    for one in combinations:
        chosen = (printable(one.attributes.get(name, "-")) for name in names)
        shown.add_row(*chosen, *_counts(one), _why(one))
    if len(combinations) > 1:
        shown.add_section()
        whole = Coverage({})
        for one in combinations:
            whole.asked += one.asked
            whole.accepted += one.accepted
            whole.to_come += one.to_come
            whole.rejected += one.rejected
            whole.reasons += one.reasons
        missing = f"{sum(one.missing for one in combinations):,}"
        asked, accepted, _, *others = _counts(whole)
        shown.add_row("all", *[""] * (len(names) - 1), asked, accepted, missing, *others, _why(whole))
    console().print(shown)


def _counts(one: Coverage) -> list[str]:
    return [f"{count:,}" for count in (one.asked, one.accepted, one.missing, one.to_come, one.rejected)]


def _why(one: Coverage) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in one.reasons.most_common())
