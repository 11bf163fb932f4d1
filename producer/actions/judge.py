"""Judging the pictures of a batch that are there."""

from collections.abc import Sequence
from dataclasses import dataclass

from checks.registry import Selection, select
from models.figures.made_pictures import made_pictures
from models.figures.progress import batch_progress
from models.pictures.opening import open_store
from models.pictures.store import PictureStore
from models.records.batches import find_batch
from models.records.database import Database
from models.records.judging.acceptance import (
    CheckCount,
    Standing,
    count_verdicts,
    follow_verdicts,
    record_likenesses,
    record_limits,
    record_verdicts,
    rejections,
    standing,
)
from models.settings import Settings
from models.types.finding import Finding
from models.types.states import MADE
from producer.actions.examiners import Examiners
from producer.actions.progress import Advance, Progress, unseen

#: Pictures between two times that what was found is recorded: an interrupted check loses no more than that.
_PAGE = 100
#: Pictures from which on progress is worth showing.
_LONG = 100


@dataclass(frozen=True)
class Judged:
    """What the checks found of a batch's pictures."""

    batch: str
    pictures: int
    standing: Standing
    counts: Sequence[CheckCount]
    #: The first of the jobs whose pictures were rejected, each with what was found against it.
    rejections: Sequence[tuple[int, Finding]]
    #: Jobs whose picture is not there, or is none.
    not_found: Sequence[int]


def judge_batch(
    settings: Settings,
    database: Database,
    name: str | None,
    selection: Selection | None,
    most: int,
    progress: Progress = unseen,
) -> Judged:
    """Judge the pictures of a batch, or of the newest, by these checks; return what was found, `most` rejections of it.

    None are the checks that the batch was judged by before, or those of product photos where it was judged by none.
    What was found before is forgotten, pictures are moved to where they belong, and what a person decided stays. What
    is made of the batch from now on is judged in the same way.

    Raises:
        NotFoundError: if there is no such batch.
    """
    with database.reading() as session:
        batch = find_batch(session, name)
        counts = batch_progress(session, batch).counts
        pictures = sum(counts[state] for state in MADE)
    if selection is None:
        selection = Selection.of(batch.checks) if batch.checks else select("product")
    # First, so that what a worker makes meanwhile is judged in the same way.
    with database.writing() as session:
        record_limits(session, batch.id, selection.as_dict())
    not_found: list[int] = []
    with progress("looking at pictures", pictures, long=_LONG) as advance:
        _judge(database, batch.id, open_store(settings), selection, not_found, advance)
    with database.reading() as session:
        return Judged(
            batch.name,
            pictures,
            standing(session, batch.id),
            count_verdicts(session, batch.id),
            rejections(session, batch.id, most),
            not_found,
        )


def _judge(
    database: Database,
    batch_id: int,
    store: PictureStore,
    selection: Selection,
    not_found: list[int],
    advance: Advance,
) -> None:
    """Record what the checks find of each picture; jobs whose picture is not there, or is none, go to `not_found`."""
    seen, last = selection.seen(), 0
    with Examiners() as examiners:
        while True:
            with database.reading() as session:
                pictures = made_pictures(session, batch_id, MADE, last, _PAGE)
            if not pictures:
                return
            verdicts: dict[int, list[Finding]] = {}
            likenesses: dict[int, bytes | None] = {}
            for one, examined in examiners.examine(pictures, store, selection):
                if not examined.is_picture:
                    not_found.append(one.job_id)
                verdicts[one.job_id] = examined.findings
                likenesses[one.job_id] = None
                if examined.likeness is not None and seen is not None:
                    found = seen.compare(examined.likeness)
                    verdicts[one.job_id] = [*examined.findings, found]
                    likenesses[one.job_id] = examined.likeness.to_bytes()
                    if found.passed and one.accepted_by_person is not False:
                        seen.keep(one.job_id, examined.likeness)
                advance(1)
            with database.writing() as session:
                record_verdicts(session, verdicts)
                record_likenesses(session, likenesses)
                follow_verdicts(session, store, verdicts.keys() - not_found)
            last = pictures[-1].job_id
