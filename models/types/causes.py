"""Why a job or an attempt ended without a picture, and all that follows from that."""

from enum import Enum, StrEnum, auto
from typing import Self

from models.types.states import Outcome


class Trait(Enum):
    """What holds for some causes."""

    #: It may be over by itself: when another program ends, or with another try.
    MAY_PASS = auto()
    #: Another seed may not come to it.
    LIES_IN_SEED = auto()
    #: It takes the worker down; a job to which that happens too often is set aside.
    TAKES_WORKER_DOWN = auto()
    #: Where several attempts in a row end with it, the process is broken, and not what their jobs ask for.
    TELLS_OF_PROCESS = auto()


class Cause(StrEnum):
    """The word under which an end without a picture is counted, what it means, and how an attempt ends with it."""

    #: What it is, and what to do where there is something to do.
    sentence: str
    outcome: Outcome
    traits: frozenset[Trait]

    def __new__(cls, word: str, sentence: str = "", outcome: Outcome = Outcome.FAILED, *traits: Trait) -> Self:
        """Make the member of that word."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.sentence, member.outcome, member.traits = sentence, outcome, frozenset(traits)
        return member

    OUT_OF_MEMORY = (
        "out_of_memory",
        "memory ran out, with the attention sliced too: make the pictures smaller",
        Outcome.FAILED,
        Trait.MAY_PASS,
    )
    DRIVER = (
        "driver",
        "the device's driver failed each time: `producer doctor` shows the device",
        Outcome.FAILED,
        Trait.MAY_PASS,
        Trait.TELLS_OF_PROCESS,
    )
    NOT_FINITE = (
        "not_finite",
        "NaN or infinity instead of a picture: try NIGHTSHIFT_DTYPE=float32 or a lower guidance",
        Outcome.FAILED,
        Trait.LIES_IN_SEED,
    )
    BLOCKED = "blocked", "the safety checker blocked the picture", Outcome.FAILED, Trait.LIES_IN_SEED
    DEADLINE = (
        "deadline",
        "not done within NIGHTSHIFT_DEADLINE_S: smaller, fewer steps, or a longer deadline",
        Outcome.FAILED,
    )
    SLOW = (
        "slow",
        "it took many times as long as others of its kind each time: NIGHTSHIFT_DEADLINE_TIMES says how many",
        Outcome.FAILED,
        Trait.MAY_PASS,
    )
    CHECKPOINT = (
        "checkpoint",
        "the checkpoint cannot be used: `producer download` fetches what is missing",
        Outcome.FAILED,
    )
    LORA = "lora", "a LoRA cannot be used: the error names the file and says why", Outcome.FAILED
    TRAINING = "training", "what a training needs cannot be used: the error names it and says why", Outcome.FAILED
    INVALID = "invalid", "the row was changed by hand and holds what no job may have", Outcome.FAILED
    UNEXPECTED = (
        "unexpected",
        "an error that nobody foresaw: the worker's log has all of it",
        Outcome.FAILED,
        Trait.TELLS_OF_PROCESS,
    )
    CANCELLED = "cancelled", "cancelled by `producer cancel`", Outcome.CANCELLED
    #: Of jobs alone: their attempts have a cause of their own each.
    QUARANTINED = (
        "quarantined",
        "its worker went away too often while it ran: `producer retry` tries it again",
        Outcome.LOST,
    )
    #: From here on of attempts alone: their jobs go back to the queue.
    HUNG = "hung", "the device hung, and the worker ended itself", Outcome.LOST, Trait.TAKES_WORKER_DOWN
    DEVICE = (
        "device",
        "the device did not do what it was told, and the worker ended itself",
        Outcome.LOST,
        Trait.TAKES_WORKER_DOWN,
    )
    PROCESS = (
        "process",
        "the worker lacked what it needs beside itself: a thread, a file handle, or the process that looks",
        Outcome.LOST,
        Trait.TELLS_OF_PROCESS,
    )
    STOPPED = "stopped", "the worker was told to end at once", Outcome.LOST
    STORAGE = "storage", "the picture could not be written before the worker was told to end", Outcome.LOST
    WORKER_LOST = "worker_lost", "the worker went away before it settled", Outcome.LOST, Trait.TAKES_WORKER_DOWN
