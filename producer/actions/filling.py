"""`producer enqueue --fill`: queueing what a batch lacks."""

from collections.abc import Sequence

import click

from models.figures.filling import Lack, fill, lacks
from models.records.batches import find_batch
from models.records.database import Database
from models.settings import Settings
from models.types.printable import printable
from producer.actions.queueing import publish_with_progress

_SHOWN = 10


def fill_batch(settings: Settings, database: Database, name: str, each: int, *, dry_run: bool) -> None:
    """Queue what the batch lacks until `each` pictures of every combination are accepted, or only say what it is.

    Raises:
        BrokerError: what is not published stays in the database, and the message says how to go on.
    """
    if dry_run:
        with database.reading() as session:
            found = lacks(session, find_batch(session, name).id, each)
    else:
        with database.writing() as session:
            found = fill(session, find_batch(session, name), each)
    count = sum(lack.count for lack in found)
    if count and not dry_run:
        publish_with_progress(settings, database, count)
    what = "would be queued" if dry_run else "queued"
    click.echo(f"{name}: {count:,} jobs {what}" if count else f"{name}: nothing is missing for {each:,} of each")
    _show(found)
    if dry_run:
        click.echo("Nothing was queued (--dry-run).")


def _show(found: Sequence[Lack]) -> None:
    for lack in found[:_SHOWN]:
        chosen = ", ".join(f"{name} = {value}" for name, value in lack.attributes.items())
        click.echo(f"  {lack.count:,} of {printable(chosen) or 'no attributes'}")
    if len(found) > _SHOWN:
        click.echo(f"  … and of {len(found) - _SHOWN:,} more combinations")
