"""Pictures that were made while the database took nothing: kept on disk until a worker can record them.

The picture lies aside, synced, under its attempt's name. A note beside it holds what its row would, so that a worker
that ends before the database is free loses no work: the next one on the device records it.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.orm import Session

from models.attempts import Claim, Ended, left_running, settle
from models.measurement import Measurement
from models.pictures import PICTURES, picture_path
from models.states import Outcome
from worker.log import log
from worker.picture import asides, put_in_place


@dataclass(frozen=True)
class Kept:
    """What the row of an attempt that succeeded would hold."""

    claim: Claim
    measured: Measurement
    load_id: int | None
    ended: Ended


_NOTES = TypeAdapter(Kept)
_SUFFIX = ".json"


def keep(aside: Path, kept: Kept) -> None:
    """Write the note of a picture that lies aside; where that fails, the picture is made again if it has to be."""
    note = _note(aside)
    try:
        note.write_bytes(_NOTES.dump_json(kept))
    except OSError as error:
        note.unlink(missing_ok=True)
        log.warning("job %d: its picture is not kept for another worker: %s", kept.claim.job_id, error)


def left_aside(data_dir: Path) -> dict[int, Path]:
    """Return where attempts wrote aside and left the picture, its note, or both, by the attempts' numbers."""
    notes = (note.with_suffix("") for note in (data_dir / PICTURES).glob(f"*/.job-*.png.*{_SUFFIX}"))
    return asides(data_dir) | {int(aside.suffix[1:]): aside for aside in notes if aside.suffix[1:].isdecimal()}


def let_go(aside: Path) -> None:
    """Remove a picture that lies aside and its note, as far as they are there."""
    aside.unlink(missing_ok=True)
    _note(aside).unlink(missing_ok=True)


def record_kept(session: Session, boot_id: int, data_dir: Path) -> list[int]:
    """Record what earlier boots under this boot's lock made and could not record; return the jobs' numbers.

    Raises:
        StorageError: if a picture cannot be given its name.
    """
    found = asides(data_dir)
    recorded = []
    for attempt_id in sorted(left_running(session, boot_id).intersection(found)):
        kept = _read(found[attempt_id])
        if kept is None or kept.claim.attempt_id != attempt_id:
            continue
        picture = picture_path(kept.claim.batch_id, kept.claim.job_id)
        if settle(
            session,
            kept.claim,
            Outcome.SUCCEEDED,
            kept.measured,
            load_id=kept.load_id,
            picture=str(picture),
            ended=kept.ended,
        ):
            put_in_place(found[attempt_id], data_dir / picture)
            recorded.append(kept.claim.job_id)
    return recorded


def _read(aside: Path) -> Kept | None:
    """Return the note of a picture; None if there is none, or one of another version's making."""
    try:
        return _NOTES.validate_json(_note(aside).read_bytes())
    except (OSError, ValidationError) as error:
        log.debug("no note that can be read beside %s: %s", aside, error)
        return None


def _note(aside: Path) -> Path:
    return aside.with_name(f"{aside.name}{_SUFFIX}")
