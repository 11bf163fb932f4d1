"""`producer gc`."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.table import Table

from models.pictures.opening import open_store
from models.pictures.store import Use, total
from models.records.database import Database
from models.settings import load_settings
from producer.actions.removal import Kept, remove, what_is_kept
from producer.actions.removal_of_trainings import KeptByTraining, remove_of_trainings, what_trainings_keep
from producer.format import moment, size
from producer.terminal.progress_bar import progress_bar
from producer.terminal.tables import console, table


@click.command
@click.option("--rejected", is_flag=True, help="Remove the rejected pictures of exported batches.")
@click.option("--thumbnails", is_flag=True, help="Remove the small copies; `report --html` makes them again.")
@click.option("--leftovers", "left", is_flag=True, help="Remove what interrupted work left behind.")
@click.option("--batch", "batches", multiple=True, metavar="BATCH", help="Remove a batch's pictures. May be repeated.")
@click.option(
    "--training",
    "trainings",
    multiple=True,
    metavar="NAME",
    help="Remove what a training that is over keeps beside its LoRAs. May be repeated.",
)
@click.option("--unexported", is_flag=True, help="Also of batches that are not exported: those pictures are lost.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
def command(
    *,
    rejected: bool,
    thumbnails: bool,
    left: bool,
    batches: tuple[str, ...],
    trainings: tuple[str, ...],
    unexported: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Say what pictures and trainings take on the disk, and remove what is named; without a name, nothing.

    A batch is exported if it is done and exports have every accepted picture of it. Of other batches nothing is removed
    without --unexported. Rows stay, and with them all figures; exports, pages and LoRAs stay, too. A training that
    failed or was cancelled cannot go on without what it keeps.
    """
    settings = load_settings()
    database, store = Database(settings.database), open_store(settings)
    if not (rejected or thumbnails or left or batches or trainings):
        if unexported or dry_run:
            what = "--rejected, --thumbnails, --leftovers, --batch BATCH or --training NAME"
            raise click.UsageError(f"name what to remove: {what}")
        _show(what_is_kept(database, store), what_trainings_keep(settings, database), as_json=as_json)
        return
    # Names that cannot be used are told before anything goes.
    of_trainings = remove_of_trainings(settings, database, trainings, dry_run=True)
    done = remove(
        database,
        store,
        rejected=rejected,
        thumbnails=thumbnails,
        stray=left,
        batches=batches,
        unexported=unexported,
        dry_run=dry_run,
        progress=progress_bar,
    )
    if not dry_run:
        remove_of_trainings(settings, database, trainings, dry_run=False)
    use = total([done.use, of_trainings])
    if as_json:
        click.echo(json.dumps(asdict(use) | {"removed": not dry_run, "spared": done.spared}, indent=2))
        return
    what = "would be removed" if dry_run else "removed"
    click.echo(f"{use.files:,} files {what}, {size(use.size_bytes)}; {_freed(use)}")
    for name in done.spared:
        click.echo(f"left, since {name} is not exported: its rejected pictures; --unexported takes them, too")


def _freed(use: Use) -> str:
    if use.freed_bytes == use.size_bytes:
        return f"{size(use.freed_bytes)} freed"
    return f"{size(use.freed_bytes)} freed, since exports and pages have the rest as well"


def _show(kept: Kept, trainings: Sequence[KeptByTraining], *, as_json: bool) -> None:
    piles = {
        "rejected pictures": ("--rejected", kept.rejected),
        "thumbnails": ("--thumbnails", kept.thumbnails),
        "leftovers": ("--leftovers", kept.leftovers),
    }
    if as_json:
        rows = [
            {"batch": one.batch, "created_at": one.created_at.isoformat(), "done": one.is_done}
            | {"exported": one.is_exported, "unexported": one.unexported}
            | asdict(use)
            for one, use in kept.batches
        ]
        of_trainings = [{"training": one.training.name, "done": one.is_over} | asdict(one.use) for one in trainings]
        found = {name: asdict(use) for name, (_, use) in piles.items()}
        click.echo(json.dumps(found | {"batches": rows, "trainings": of_trainings}, indent=2))
        return
    columns = ("files", "size", "frees")
    shown = table("What may go", "what", *columns, "by", right=columns)
    for name, (flag, use) in piles.items():
        shown.add_row(name, f"{use.files:,}", size(use.size_bytes), size(use.freed_bytes), flag)
    console().print(shown)
    if trainings:
        console().print(_table_of_trainings(trainings))
    if not kept.batches:
        return
    of_batches = table("Batches, oldest first", "batch", "made", *columns, "exported", "by", right=columns)
    for one, use in kept.batches:
        exported = "yes" if one.is_exported else f"{one.unexported:,} are not" if one.is_done else "not done yet"
        numbers = f"{use.files:,}", size(use.size_bytes), size(use.freed_bytes)
        of_batches.add_row(one.batch, moment(one.created_at), *numbers, exported, f"--batch {one.batch}")
    console().print(of_batches)


def _table_of_trainings(trainings: Sequence[KeptByTraining]) -> Table:
    columns = ("files", "size", "frees")
    shown = table("Trainings, beside their LoRAs", "training", "made", *columns, "is", "by", right=columns)
    for one in trainings:
        numbers = f"{one.use.files:,}", size(one.use.size_bytes), size(one.use.freed_bytes)
        training = one.training
        by = f"--training {training.name}" if one.is_over else ""
        shown.add_row(training.name, moment(training.created_at), *numbers, training.state, by)
    return shown
