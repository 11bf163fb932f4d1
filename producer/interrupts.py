"""Ctrl+C and SIGTERM, in a command that has started processes."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_BOTH = signal.SIGINT, signal.SIGTERM


def treat_sigterm_as_ctrl_c() -> None:
    """Have both end the command in order."""
    signal.signal(signal.SIGTERM, _interrupt)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let both wait until the block is over: a process that is being started must not be lost sight of."""
    held: list[int] = []
    before = {number: signal.signal(number, lambda number, _frame: held.append(number)) for number in _BOTH}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in held:
            signal.raise_signal(number)


def on_next_interrupt(do: Callable[[], None]) -> None:
    """Have either of them do this from now on."""
    for number in _BOTH:
        signal.signal(number, lambda *_: do())


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
