"""A bar for work that lasts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from producer.terminal.tables import console

#: From how many steps on the bar is seen; fewer are done before a person looks.
_LONG = 2_000


@contextmanager
def progress_bar(doing: str, total: int | None = None, long: int = _LONG) -> Iterator[Callable[[int], None]]:
    """Yield what is told how many more are done; the bar is on standard error, and only where that is a terminal.

    It is shown from `long` steps on.
    """
    errors = console(error=True)
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"), TimeRemainingColumn()
    bar = Progress(*columns, console=errors, transient=True)
    shown = bar.add_task(doing, total=total)
    done, started = 0, False

    def advance(more: int) -> None:
        nonlocal done, started
        done += more
        bar.advance(shown, more)
        if done >= long and errors.is_terminal and not started:
            bar.start()
            started = True

    try:
        yield advance
    finally:
        if started:
            bar.stop()
