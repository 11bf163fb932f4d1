"""How well the rest of a batch of several kinds is estimated: `python -m benchmarks.mixed_kinds`.

A batch of four kinds (two sizes, guided and not, few steps and many) in turn; at half of it the time that is left, as
the bar and the report say it, is held against the time that the rest takes. Prints the rounds, the greatest error, and
JSON last; the exit status is 1 where the median error is over 5 %.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from sqlalchemy.orm import Session

from benchmarks.sides import queue
from models.figures.estimates import time_left
from models.figures.progress import batch_progress
from models.records.batches import find_batch

LIMIT = 0.05
KINDS = ("128,128,12,7.5", "64,64,12,7.5", "128,128,12,1", "128,128,4,7.5")


def main() -> None:
    """Measure each round and print the errors."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--pictures", type=int, default=30, help="pictures of each kind in a batch")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as name, queue(Path(name, "queue"), worker=True) as side:
        prompts = side.folder / "mixed.csv"
        lines = [f"a red boot,{kind}" for _ in range(asked.pictures) for kind in KINDS]
        prompts.write_text("\n".join(["prompt,width,height,steps,guidance", *lines]) + "\n")
        # The first batch is a warm-up: after it each kind has a history.
        for number in range(asked.rounds + 1):
            batch = f"mixed-{number}"
            side.producer("enqueue", "--new", "--prompts", str(prompts), "--batch", batch)
            said = side.wait_until(partial(_half, batch), 0.02)
            begun = time.monotonic()
            side.wait_until(partial(_is_done, batch), 0.02)
            took = time.monotonic() - begun
            if number:
                rounds.append((said, took))
    print(f"{'round':8}{'said':>12}{'took':>12}{'error':>10}")
    errors = [said / took - 1 for said, took in rounds]
    for number, ((said, took), error) in enumerate(zip(rounds, errors, strict=True), start=1):
        print(f"{number:<8}{said:10.2f} s{took:10.2f} s{error:10.1%}")
    median = statistics.median(map(abs, errors))
    most = max(map(abs, errors))
    print(f"time left of a batch of {len(KINDS)} kinds, at half: off by {median:.1%} (at most {most:.1%})")
    print(json.dumps({"median_error": median, "errors": errors, "seconds": rounds}))
    sys.exit(median > LIMIT)


def _is_done(name: str, session: Session) -> bool:
    return batch_progress(session, find_batch(session, name)).remaining == 0


def _half(name: str, session: Session) -> float | None:
    """Return the time that is left, once half of the batch is made."""
    batch = find_batch(session, name)
    progress = batch_progress(session, batch)
    return time_left(session, batch, progress).seconds if 2 * progress.made >= progress.total else None


if __name__ == "__main__":
    main()
