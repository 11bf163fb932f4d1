"""How a worker process ends, for a supervisor to tell apart."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit statuses of the worker; from `HUNG` on they are those of sysexits.h that come nearest."""

    #: Told to end, and ended.
    DONE = 0
    #: It cannot start: a setting, a device or a checkpoint is wrong. The same start would fail again.
    CANNOT_START = 1
    #: A step did not come to its end, and only a new process helps.
    HUNG = 70
    #: Memory stayed beyond the limit; a new process begins with less.
    MEMORY = 71
    #: The device did not do what it was told; a new process sets it up anew.
    DEVICE = 73
    #: Several attempts in a row failed for no reason of their jobs; a new process starts clean.
    FAULTY = 74
    #: What was done could not be recorded before the worker was told to end.
    DATABASE = 75
    #: It took no job although messages waited, and connecting to Redis anew did not help.
    IDLE = 76
