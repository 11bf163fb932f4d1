"""What pictures take on the disk, and removing them: the rows, and with them all figures, stay."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from models.pictures.mark import picture_mark
from models.pictures.names import is_first_name
from models.pictures.store import PictureStore
from models.records.batches import CHUNK
from models.records.rescue import ended_attempts
from models.records.tables import Batch, Job
from models.types.clock import now
from models.types.states import FINISHED, MADE, JobState


@dataclass
class KeptPictures:
    """The pictures of a batch that have not been removed, by their names in the store."""

    batch_id: int
    batch: str
    created_at: datetime
    #: Whether no job is queued or running.
    is_done: bool
    accepted: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    #: How many of the accepted ones no export has.
    unexported: int = 0

    @property
    def is_exported(self) -> bool:
        """Whether nothing is lost with what is here: the batch is done, and its accepted pictures are in exports."""
        return self.is_done and self.unexported == 0


def kept_pictures(session: Session) -> list[KeptPictures]:
    """Return the pictures of each batch that has some, oldest batch first."""
    going = set(session.scalars(select(Job.batch_id).where(Job.state.not_in(FINISHED)).distinct()))
    found: dict[int, KeptPictures] = {}
    rows = session.execute(
        select(Batch.id, Batch.name, Batch.created_at, Job.picture, Job.state, Job.exported_at)
        .join(Batch, Batch.id == Job.batch_id)
        .where(Job.state.in_(MADE), Job.picture.is_not(None))
        .order_by(Job.id)
    )
    for row in rows:
        kept = found.setdefault(row.id, KeptPictures(row.id, row.name, row.created_at, row.id not in going))
        if row.state == JobState.REJECTED:
            kept.rejected.append(row.picture)
        else:
            kept.accepted.append(row.picture)
            kept.unexported += row.exported_at is None
    return [found[batch_id] for batch_id in sorted(found)]


def mark_exported(session: Session, job_ids: Collection[int]) -> None:
    """Note that an export has the pictures of these jobs."""
    ids = sorted(job_ids)
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        session.execute(update(Job).where(Job.id.in_(chunk)).values(exported_at=now()))


def forget_pictures(session: Session, names: Sequence[str]) -> list[str]:
    """Note that these pictures are removed, before that is done; return those that still had these names."""
    forgotten: list[str] = []
    for start in range(0, len(names), CHUNK):
        found = session.execute(select(Job.id, Job.picture).where(Job.picture.in_(names[start : start + CHUNK])))
        by_job = {row.id: row.picture for row in found}
        session.execute(update(Job).where(Job.id.in_(by_job)).values(picture=None))
        forgotten += by_job.values()
    return forgotten


def removed_pictures(session: Session, batch_id: int, states: Collection[JobState]) -> int:
    """Return how many pictures of a batch in these states have been removed."""
    gone = select(func.count()).where(Job.batch_id == batch_id, Job.state.in_(states), Job.picture.is_(None))
    return session.scalar(gone) or 0


def leftovers(session: Session, store: PictureStore) -> list[str]:
    """Return the pictures of finished jobs that no row names, and what attempts that are over left aside.

    Pictures come first and rows after: one that a worker gives its name meanwhile is of a job that still runs in the
    rows, or that names it. Pictures of jobs that the database does not know are none of its business, nor are those of
    another database's jobs that had the same numbers.
    """
    asides = store.asides()
    found = {name: job_id for job_id, name in store.pictures()}
    over = ended_attempts(session, asides)
    left = [piece for attempt_id in sorted(over) for piece in asides[attempt_id].pieces]
    ids = sorted(set(found.values()))
    rows: dict[int, tuple[str | None, str]] = {}
    for start in range(0, len(ids), CHUNK):
        chunk = Job.id.in_(ids[start : start + CHUNK])
        rows |= {
            row.id: (row.picture, picture_mark(row.uid, row.id))
            for row in session.execute(
                select(Job.id, Job.picture, Batch.uid)
                .join(Batch, Batch.id == Job.batch_id)
                .where(chunk, Job.state.in_(FINISHED))
            )
        }
    return left + [
        name for name, job_id in sorted(found.items()) if job_id in rows and _is_left(name, *rows[job_id], store)
    ]


def _is_left(name: str, picture: str | None, mark: str, store: PictureStore) -> bool:
    """Tell whether a picture with a job's number is the job's, and is not the one that its row names."""
    if picture is not None and store.present_name(picture) == name:
        return False
    # One without a mark is of an earlier version; it was not the job's if the job's picture had to make way for it.
    is_ours = picture is None or is_first_name(picture)
    found = store.mark(name)
    return is_ours if found is None else found == mark
