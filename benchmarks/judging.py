"""What looking at pictures costs the device: `python -m benchmarks.judging`.

Two queues with a worker each make a few pictures in turn, one with the checks of product photos and one with none; a
turn's seconds are those between the files of its first and its last picture. Prints the rounds, the ratio with its
spread, and JSON last.
"""

import argparse
import json
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.sides import Queue, queue


def main() -> None:
    """Measure both sides and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--pictures", type=int, default=20, help="pictures a turn")
    parser.add_argument("--rounds", type=int, default=10)
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sides = [stack.enter_context(queue(folder / checks, worker=True)) for checks in ("none", "product")]
        # The first turn of each is a warm-up, in which the process that looks is started.
        rounds = [
            [_turn(side, asked.pictures, checks) for side, checks in zip(sides, ("none", "product"), strict=True)]
            for _ in range(asked.rounds + 1)
        ][1:]
    ratios = [judged / plain for plain, judged in rounds]
    print(f"{'round':8}{'no checks':>16}{'product':>16}{'times as long':>16}")
    for number, ((plain, judged), ratio) in enumerate(zip(rounds, ratios, strict=True), start=1):
        print(f"{number:<8}{plain:14.4f} s{judged:14.4f} s{ratio:16.3f}")
    median = statistics.median(ratios)
    low, _, high = statistics.quantiles(ratios, n=4)
    print(f"a picture that is judged: {median:.3f} times as long ({low:.3f} to {high:.3f})")
    print(json.dumps({"ratio": median, "quartiles": [low, high], "seconds_a_picture": rounds}))


def _turn(side: Queue, pictures: int, checks: str) -> float:
    side.enqueue(pictures, "--checks", checks)
    return side.seconds_of_newest()


if __name__ == "__main__":
    main()
