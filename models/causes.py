"""Why a job or an attempt ended without a picture."""

from enum import StrEnum


class Cause(StrEnum):
    """The word under which an end without a picture is counted; `sentence` says it to people."""

    OUT_OF_MEMORY = "out_of_memory"
    DRIVER = "driver"
    NOT_FINITE = "not_finite"
    BLOCKED = "blocked"
    DEADLINE = "deadline"
    SLOW = "slow"
    CHECKPOINT = "checkpoint"
    INVALID = "invalid"
    UNEXPECTED = "unexpected"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"
    #: Of attempts alone: their jobs go back to the queue.
    HUNG = "hung"
    DEVICE = "device"
    PROCESS = "process"
    STOPPED = "stopped"
    STORAGE = "storage"
    WORKER_LOST = "worker_lost"

    @property
    def sentence(self) -> str:
        """What it means, and what to do where there is something to do."""
        return _SENTENCES[self]


#: May be over by itself: when another program ends, or with another try.
PASSING = (Cause.OUT_OF_MEMORY, Cause.DRIVER, Cause.SLOW)

_SENTENCES = {
    Cause.OUT_OF_MEMORY: "memory ran out, with the attention sliced too: make the pictures smaller",
    Cause.DRIVER: "the device's driver failed each time: `producer doctor` shows the device",
    Cause.NOT_FINITE: "NaN or infinity instead of a picture: try NIGHTSHIFT_DTYPE=float32 or a lower guidance",
    Cause.BLOCKED: "the safety checker blocked the picture",
    Cause.DEADLINE: "not done within NIGHTSHIFT_DEADLINE_S: smaller, fewer steps, or a longer deadline",
    Cause.SLOW: "it took many times as long as others of its kind each time: NIGHTSHIFT_DEADLINE_TIMES says how many",
    Cause.CHECKPOINT: "the checkpoint cannot be used: `producer download` fetches what is missing",
    Cause.INVALID: "the row was changed by hand and holds what no job may have",
    Cause.UNEXPECTED: "an error that nobody foresaw: the worker's log has all of it",
    Cause.CANCELLED: "cancelled by `producer cancel`",
    Cause.QUARANTINED: "its worker went away too often while it ran: `producer retry` tries it again",
    Cause.HUNG: "the device hung, and the worker ended itself",
    Cause.DEVICE: "the device did not do what it was told, and the worker ended itself",
    Cause.PROCESS: "the worker lacked what it needs beside itself: a thread, a file handle, or the process that looks",
    Cause.STOPPED: "the worker was told to end at once",
    Cause.STORAGE: "the picture could not be written before the worker was told to end",
    Cause.WORKER_LOST: "the worker went away before it settled",
}
