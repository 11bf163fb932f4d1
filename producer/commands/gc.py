"""`producer gc`."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from models.pictures.store import PictureStore
from models.records.database import Database
from models.records.removal import KeptPictures, forget_pictures, kept_pictures, leftovers
from models.settings import load_settings
from models.types.errors import BadInputError, StorageError
from producer.format import console, moment, size, table
from producer.terminal.progress_bar import progress_bar


@dataclass(frozen=True)
class Use:
    """What files take on the disk."""

    files: int = 0
    size_bytes: int = 0
    #: Of it what removing them frees: a file that an export or a page has as well stays on the disk.
    freed_bytes: int = 0


@dataclass
class Removal:
    """What is to be removed."""

    #: By their names in the store.
    pictures: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    #: What interrupted work left; it is looked at once more when it is removed.
    leftovers: list[Path] = field(default_factory=list)
    #: Batches that are left as they are, since no export has them.
    spared: list[str] = field(default_factory=list)


@click.command
@click.option("--rejected", is_flag=True, help="Remove the rejected pictures of exported batches.")
@click.option("--thumbnails", is_flag=True, help="Remove the small copies; `report --html` makes them again.")
@click.option("--leftovers", "left", is_flag=True, help="Remove what interrupted work left behind.")
@click.option("--batch", "batches", multiple=True, metavar="BATCH", help="Remove a batch's pictures. May be repeated.")
@click.option("--unexported", is_flag=True, help="Also of batches that are not exported: those pictures are lost.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
def command(
    *,
    rejected: bool,
    thumbnails: bool,
    left: bool,
    batches: tuple[str, ...],
    unexported: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Say what pictures take on the disk, and remove what is named; without a name, nothing.

    A batch is exported if it is done and exports have every accepted picture of it. Of other batches nothing is removed
    without --unexported. Rows stay, and with them all figures; exports and pages stay, too.
    """
    settings = load_settings()
    database, store = Database(settings.database), PictureStore(settings.data_dir)
    with database.reading() as session:
        kept = kept_pictures(session)
        stray = leftovers(session, store)
    if not (rejected or thumbnails or left or batches):
        if unexported or dry_run:
            raise click.UsageError("name what to remove: --rejected, --thumbnails, --leftovers or --batch BATCH")
        _show(kept, store, stray, as_json=as_json)
        return
    removal = Removal(files=store.thumbnails() if thumbnails else [], leftovers=stray if left else [])
    if rejected:
        for one in kept:
            if one.rejected and not (one.is_exported or unexported):
                removal.spared.append(one.batch)
            elif one.rejected:
                removal.pictures += one.rejected
    for one in _named(kept, batches, unexported=unexported):
        removal.pictures += one.accepted + one.rejected
    use = _remove(database, store, removal, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(asdict(use) | {"removed": not dry_run, "spared": removal.spared}, indent=2))
        return
    what = "would be removed" if dry_run else "removed"
    click.echo(f"{use.files:,} files {what}, {size(use.size_bytes)}; {_freed(use)}")
    for name in removal.spared:
        click.echo(f"left, since {name} is not exported: its rejected pictures; --unexported takes them, too")


def _named(kept: Sequence[KeptPictures], names: Iterable[str], *, unexported: bool) -> list[KeptPictures]:
    """Return the batches of these names.

    Raises:
        BadInputError: naming each that has no pictures, or may not be taken.
    """
    by_name = {one.batch: one for one in kept}
    problems = []
    for name in dict.fromkeys(names):
        if name not in by_name:
            problems.append(f"{name}: there is no such batch with pictures; `producer gc` lists those that have some")
        elif not by_name[name].is_done:
            problems.append(f"{name}: is not done yet; `producer cancel {name}` ends it")
        elif not (by_name[name].is_exported or unexported):
            lost = by_name[name].unexported
            problems.append(
                f"{name}: no export has {lost:,} of its accepted pictures; `producer export {name} DIR` makes one, and "
                "--unexported removes them for good"
            )
    if problems:
        raise BadInputError(problems)
    return [by_name[name] for name in dict.fromkeys(names)]


def _remove(database: Database, store: PictureStore, removal: Removal, *, dry_run: bool) -> Use:
    """Remove the files and return what they took.

    Raises:
        StorageError: if one cannot be removed.
    """
    names = list(dict.fromkeys(removal.pictures))
    if not dry_run:
        # Rows first: a file that is left when this is killed is a leftover, while a row would name what is gone.
        with database.writing() as session:
            names = forget_pictures(session, names)
    files = removal.files + [store.where(name) for name in names]
    use = _use(files + removal.leftovers)
    if dry_run:
        return use
    with progress_bar("removing", len(files)) as advance:
        for file in files:
            _unlink(file)
            advance(1)
    if removal.leftovers:
        # A job may have been queued again, and its picture made anew: while this has the database, no picture gets its
        # name.
        with database.writing() as session:
            still = set(leftovers(session, store))
            for file in removal.leftovers:
                if file in still:
                    _unlink(file)
    return use


def _unlink(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{file} cannot be removed ({error.strerror}): make its folder writable") from error


def _use(files: Iterable[Path]) -> Use:
    count = total = freed = 0
    for file in files:
        try:
            found = file.lstat()
        except FileNotFoundError:
            continue
        count, total = count + 1, total + found.st_size
        freed += found.st_size if found.st_nlink == 1 else 0
    return Use(count, total, freed)


def _freed(use: Use) -> str:
    if use.freed_bytes == use.size_bytes:
        return f"{size(use.freed_bytes)} freed"
    return f"{size(use.freed_bytes)} freed, since exports and pages have the rest as well"


def _show(kept: Sequence[KeptPictures], store: PictureStore, stray: Sequence[Path], *, as_json: bool) -> None:
    piles = {
        "rejected pictures": ("--rejected", _use(store.where(name) for one in kept for name in one.rejected)),
        "thumbnails": ("--thumbnails", _use(store.thumbnails())),
        "leftovers": ("--leftovers", _use(stray)),
    }
    batches = [(one, _use(store.where(name) for name in one.accepted + one.rejected)) for one in kept]
    if as_json:
        rows = [
            {"batch": one.batch, "created_at": one.created_at.isoformat(), "done": one.is_done}
            | {"exported": one.is_exported, "unexported": one.unexported}
            | asdict(use)
            for one, use in batches
        ]
        click.echo(json.dumps({name: asdict(use) for name, (_, use) in piles.items()} | {"batches": rows}, indent=2))
        return
    columns = ("files", "size", "frees")
    shown = table("What may go", "what", *columns, "by", right=columns)
    for name, (flag, use) in piles.items():
        shown.add_row(name, f"{use.files:,}", size(use.size_bytes), size(use.freed_bytes), flag)
    console().print(shown)
    if not batches:
        return
    of_batches = table("Batches, oldest first", "batch", "made", *columns, "exported", "by", right=columns)
    for one, use in batches:
        exported = "yes" if one.is_exported else f"{one.unexported:,} are not" if one.is_done else "not done yet"
        numbers = f"{use.files:,}", size(use.size_bytes), size(use.freed_bytes)
        of_batches.add_row(one.batch, moment(one.created_at), *numbers, exported, f"--batch {one.batch}")
    console().print(of_batches)
