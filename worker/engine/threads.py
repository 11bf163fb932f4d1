"""How many threads torch computes with on a CPU; `worker.engine.processors` says why."""

import torch

from worker.engine.processors import Processors
from worker.events import Event
from worker.log import event, log


def number_of_threads() -> int:
    """Return how many threads torch computes with."""
    return torch.get_num_threads()


def leave_processors_to_others(processors: Processors | None) -> None:
    """Have torch compute with no more threads than there are free processors, unless a number was set by hand.

    `processors` is None where one was. For the thread that owns the device, since torch counts for each thread of a
    program.
    """
    if processors is None:
        return
    usual, free = torch.get_num_threads(), processors.free()
    if free < usual:
        log.info(
            "%d of %d threads, since other programs are at work; OMP_NUM_THREADS sets another number",
            free,
            usual,
            extra=event(Event.THREADS_REDUCED),
        )
        torch.set_num_threads(free)
