"""What becomes of a job when an attempt of it has ended: decided here alone, from data."""

from dataclasses import dataclass
from enum import StrEnum

from models.types.causes import Cause, Trait
from models.types.states import Outcome


class Fate(StrEnum):
    """What becomes of a job."""

    #: It has ended as its attempt has.
    SETTLE = "settle"
    #: It is tried again, after a while.
    POSTPONE = "postpone"
    #: It goes back to the queue, as if the attempt had not been.
    GIVE_BACK = "give back"
    #: It goes back to the queue, and that its worker went away is counted.
    LOSE = "lose"
    #: It is set aside until a person has it tried again.
    QUARANTINE = "quarantine"


@dataclass(frozen=True)
class Tries:
    """How often a job is tried."""

    #: Times that a job is tried again after what may pass.
    retries: int
    #: Times that a job may take its worker down; it is set aside the last time.
    quarantine_after: int


def fate(outcome: Outcome, cause: Cause | None, failures: int, losses: int, tries: Tries) -> Fate:
    """Return what becomes of a job whose attempt ended so, after so many failures and losses before.

    `failures` counts ends that may pass, `losses` workers that the job took down. An attempt may be lost by a cause
    that usually fails it: where several in a row ended so, nobody blames the last one's job.
    """
    if outcome is not Outcome.LOST:
        may_pass = cause is not None and Trait.MAY_PASS in cause.traits
        return Fate.POSTPONE if may_pass and failures < tries.retries else Fate.SETTLE
    if cause is None or Trait.TAKES_WORKER_DOWN not in cause.traits:
        return Fate.GIVE_BACK
    return Fate.QUARANTINE if losses + 1 >= tries.quarantine_after else Fate.LOSE
