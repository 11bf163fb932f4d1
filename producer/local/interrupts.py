"""Ctrl+C, SIGTERM and a terminal that closes, in a command that has started processes."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_ENDS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


def treat_all_as_ctrl_c() -> None:
    """Have each of them end the command in order, but for the terminal's that `nohup` has it ignore."""
    for number in _ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let all of them wait until the block is over: a process that is being started must not be lost sight of."""
    held: list[int] = []
    before = {number: signal.signal(number, lambda number, _frame: held.append(number)) for number in _ENDS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in held:
            signal.raise_signal(number)


def on_next_interrupt(do: Callable[[], None]) -> None:
    """Have any of them do this from now on."""
    for number in _ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: do())


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
