"""Pictures that were made while the database took nothing: noted on disk until a worker can record them.

The picture lies aside, synced, under its attempt's name. A note beside it holds what its row would, so that a worker
that ends before the database is free loses no work: the next one on the device records it.
"""

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from models.pictures.store import Aside, PictureStore
from models.records.attempts import Ended, Result, limits_of, settle
from models.records.claims import Claim
from models.records.database import Session
from models.records.rescue import left_running
from models.types.errors import NameTakenError
from worker.events import Event
from worker.log import event, log


@dataclass(frozen=True)
class Unrecorded:
    """What the row of an attempt that succeeded would hold."""

    claim: Claim
    result: Result
    ended: Ended


_NOTES = TypeAdapter(Unrecorded)


def note_unrecorded(aside: Aside, noted: Unrecorded) -> None:
    """Write the note of a picture that lies aside; where that fails, the picture is made again if it has to be."""
    try:
        aside.write_note(_NOTES.dump_json(noted))
    except OSError as error:
        log.warning(
            "job %d: its picture is not noted for another worker: %s",
            noted.claim.job_id,
            error,
            extra=event(Event.PICTURE_NOT_KEPT, job=noted.claim.job_id),
        )


def record_noted(session: Session, boot_id: int, pictures: PictureStore) -> list[int]:
    """Record what earlier boots under this boot's lock made and could not record; return the jobs' numbers.

    Raises:
        StorageError: if a picture cannot be given its name.
    """
    found = {attempt_id: aside for attempt_id, aside in pictures.asides().items() if aside.is_there}
    recorded = []
    for attempt_id in sorted(left_running(session, boot_id).intersection(found)):
        noted = _read(found[attempt_id])
        if noted is None or noted.claim.attempt_id != attempt_id:
            continue
        try:
            found[attempt_id].prepare(rejected=noted.result.is_rejected)
        except NameTakenError as error:
            log.debug("job %d is made again: %s", noted.claim.job_id, error)
            continue
        if _is_judged_as_ever(session, noted) and _is_settled(session, noted):
            with found[attempt_id].put_in_place(rejected=noted.result.is_rejected):
                recorded.append(noted.claim.job_id)
    return recorded


def _is_settled(session: Session, noted: Unrecorded) -> bool:
    return bool(settle(session, noted.claim, noted.result, noted.ended).recorded)


def _is_judged_as_ever(session: Session, noted: Unrecorded) -> bool:
    """Tell whether the batch has the limits that the picture was judged by; else it is made again."""
    return noted.claim.checks == limits_of(session, noted.claim)


def _read(aside: Aside) -> Unrecorded | None:
    """Return the note of a picture; None if there is none, or one of another version's making."""
    try:
        return _NOTES.validate_json(aside.read_note())
    except (OSError, ValidationError) as error:
        log.debug("a picture that lies aside has no note that can be read: %s", error)
        return None
