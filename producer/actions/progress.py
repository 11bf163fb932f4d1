"""How an action tells how far it is, to whoever shows that."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

_Thing = TypeVar("_Thing")
#: Told how many more are done.
Advance = Callable[[int], None]


class Progress(Protocol):
    """Shows how far something is, while its context lasts."""

    def __call__(self, doing: str, total: int | None = None, long: int = ...) -> AbstractContextManager[Advance]:
        """Return a context that gives what is told how many more are done; fewer than `long` need not be shown."""


@contextmanager
def unseen(doing: str, total: int | None = None, long: int = 0) -> Iterator[Advance]:
    """Show nothing."""
    yield lambda _more: None


def each_counted(things: Iterable[_Thing], advance: Advance) -> Iterator[_Thing]:
    """Go through `things` and tell of each."""
    for thing in things:
        yield thing
        advance(1)
