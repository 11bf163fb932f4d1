"""What a process of `producer`'s own says to it: JSON objects, one a line, and nothing that a library prints."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def only_answers() -> Iterator[None]:
    """Have what is printed within the block be complaints, but for what `answer` says."""
    with redirect_stdout(sys.stderr):
        yield


def answer(said: dict[str, object]) -> None:
    """Say something to the program that started this process, at once."""
    print(json.dumps(said), file=sys.__stdout__, flush=True)
