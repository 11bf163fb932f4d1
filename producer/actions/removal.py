"""What pictures take on the disk, and removing what is named."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from models.pictures.store import PictureStore, Use
from models.records.database import Database
from models.records.removal import KeptPictures, forget_pictures, kept_pictures, leftovers
from models.types.errors import BadInputError
from producer.actions.progress import Progress, unseen


@dataclass(frozen=True)
class Kept:
    """What there is that may go."""

    rejected: Use
    thumbnails: Use
    leftovers: Use
    #: Batches with pictures, the oldest first, and what those take.
    batches: Sequence[tuple[KeptPictures, Use]]


@dataclass(frozen=True)
class Removed:
    """What was removed, or would be."""

    use: Use
    #: Batches whose rejected pictures are left, since no export has the others.
    spared: Sequence[str]


@dataclass
class _Removal:
    """What is to be removed."""

    #: By their names in the store.
    pictures: list[str] = field(default_factory=list)
    thumbnails: list[str] = field(default_factory=list)
    #: What interrupted work left; it is looked at once more when it is removed.
    leftovers: list[str] = field(default_factory=list)
    #: Batches that are left as they are, since no export has them.
    spared: list[str] = field(default_factory=list)


def what_is_kept(database: Database, store: PictureStore) -> Kept:
    """Return what pictures take."""
    with database.reading() as session:
        kept = kept_pictures(session)
        stray = leftovers(session, store)
    return Kept(
        store.use(name for one in kept for name in one.rejected),
        store.use(store.thumbnails()),
        store.use(stray),
        [(one, store.use(one.accepted + one.rejected)) for one in kept],
    )


def remove(
    database: Database,
    store: PictureStore,
    *,
    rejected: bool = False,
    thumbnails: bool = False,
    stray: bool = False,
    batches: Iterable[str] = (),
    unexported: bool = False,
    dry_run: bool = False,
    progress: Progress = unseen,
) -> Removed:
    """Remove rejected pictures, thumbnails, stray files, and the pictures of these batches; `dry_run` only counts.

    Of what no export has, nothing is removed without `unexported`.

    Raises:
        BadInputError: naming each batch that has no pictures, or may not be taken.
        StorageError: if a file cannot be removed.
    """
    with database.reading() as session:
        kept = kept_pictures(session)
        found = leftovers(session, store) if stray else []
    removal = _Removal(thumbnails=store.thumbnails() if thumbnails else [], leftovers=found)
    if rejected:
        for one in kept:
            if one.rejected and not (one.is_exported or unexported):
                removal.spared.append(one.batch)
            elif one.rejected:
                removal.pictures += one.rejected
    for one in _named(kept, batches, unexported=unexported):
        removal.pictures += one.accepted + one.rejected
    return Removed(_remove(database, store, removal, progress, dry_run=dry_run), removal.spared)


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


def _remove(database: Database, store: PictureStore, removal: _Removal, progress: Progress, *, dry_run: bool) -> Use:
    """Remove the files and return what they took.

    Raises:
        StorageError: if one cannot be removed.
    """
    names = list(dict.fromkeys(removal.pictures))
    if not dry_run:
        # Rows first: a file that is left when this is killed is a leftover, while a row would name what is gone.
        with database.writing() as session:
            names = forget_pictures(session, names)
    pieces = removal.thumbnails + names
    use = store.use(pieces + removal.leftovers)
    if dry_run:
        return use
    with progress("removing", len(pieces)) as advance:
        for piece in pieces:
            store.remove(piece)
            advance(1)
    if removal.leftovers:
        # A job may have been queued again, and its picture made anew: while this has the database, no picture gets its
        # name.
        with database.writing() as session:
            still = set(leftovers(session, store))
            for piece in removal.leftovers:
                if piece in still:
                    store.remove(piece)
    return use
