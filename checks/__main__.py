"""The process of an `Examiner`: looks at what comes in and writes what it finds, until nothing comes any more."""

import os
import pickle
import sys

from checks.examiner import examine

#: Other programs go first: nobody waits for what is found.
_NICE = 10


def main() -> None:
    """Answer one question after the other."""
    os.nice(_NICE)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # What a library prints is no answer.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while True:
        try:
            content, asked, selection = pickle.load(sys.stdin.buffer)  # noqa: S301 - of the program that started this one
        except EOFError:
            return
        pickle.dump(examine(content, asked, selection), answers)
        answers.flush()


if __name__ == "__main__":
    main()
