"""The process of an `Examiner`: looks at what comes in and writes what it finds, until nothing comes any more."""

import os
import pickle
import sys
from typing import BinaryIO

from checks.examiner import Examined, examine

#: Other programs go first: nobody waits for what is found.
_NICE = 10


def main() -> None:
    """Answer one question after the other."""
    os.nice(_NICE)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # What a library prints is no answer.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # Whoever asks tells a process that cannot begin from one that a picture ends.
    _answer(None, answers)
    while True:
        try:
            content, asked, selection = pickle.load(sys.stdin.buffer)  # noqa: S301 - of the program that started this one
        except EOFError:
            return
        _answer(examine(content, asked, selection), answers)


def _answer(answer: Examined | None, answers: BinaryIO) -> None:
    pickle.dump(answer, answers)
    answers.flush()


if __name__ == "__main__":
    main()
