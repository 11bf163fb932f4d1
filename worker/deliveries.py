"""What Redis has handed to this worker."""

from collections.abc import Iterator
from contextlib import contextmanager


class Deliveries:
    """Counted by the thread that takes them, looked at by others."""

    def __init__(self) -> None:
        #: How many there were.
        self.count = 0
        #: Whether one is being worked on.
        self.busy = False

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Count one, which is in hand until the block ends."""
        self.count += 1
        self.busy = True
        try:
            yield
        finally:
            self.busy = False
