"""What jobs that wait cost the worker: `python -m benchmarks.waiting`.

Two queues with a worker each, of which one has 100,000 jobs waiting. Each makes a few pictures in turn, paused between
its turns; a turn's seconds are those between the files of its first and its last picture. Prints the rounds, the ratio
with its spread, and JSON last.
"""

import argparse
import json
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.sides import Queue, nothing_runs, queue


def main() -> None:
    """Measure both sides and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--pictures", type=int, default=10, help="pictures a turn")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--waiting", type=int, default=100_000, help="jobs that wait on one side")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        empty = stack.enter_context(queue(folder / "empty", worker=True))
        full = stack.enter_context(queue(folder / "full", worker=True))
        for side in (empty, full):
            side.producer("pause")
        # No prompt has that many seeds at once.
        prompts = folder / "prompts.txt"
        prompts.write_text("a shoe that waits\n" * asked.waiting)
        full.producer("enqueue", "--prompts", str(prompts))
        # The first turn of each is a warm-up.
        rounds = [(_turn(empty, asked.pictures), _turn(full, asked.pictures)) for _ in range(asked.rounds + 1)][1:]
        waiting = json.loads(full.producer("status", "--json"))
    ratios = [of_full / of_empty for of_empty, of_full in rounds]
    print(f"{'round':8}{'none waits':>16}{'many wait':>16}{'times as long':>16}")
    for number, ((of_empty, of_full), ratio) in enumerate(zip(rounds, ratios, strict=True), start=1):
        print(f"{number:<8}{of_empty:14.4f} s{of_full:14.4f} s{ratio:16.3f}")
    median = statistics.median(ratios)
    low, _, high = statistics.quantiles(ratios, n=4)
    print(f"a picture while {asked.waiting:,} jobs wait: {median:.3f} times as long ({low:.3f} to {high:.3f})")
    result = {"waiting": asked.waiting, "ratio": median, "quartiles": [low, high], "seconds_a_picture": rounds}
    print(json.dumps(result | {"status": waiting}))


def _turn(side: Queue, pictures: int) -> float:
    """Have so many pictures made before all that wait, and return the seconds of one."""
    side.enqueue(pictures, "--priority", "0")
    side.producer("resume")
    seconds = side.seconds_of_newest()
    side.producer("pause")
    # A job that waited may have begun after the last of the turn; the other side shall not share a processor with it.
    side.wait_until(nothing_runs)
    return seconds


if __name__ == "__main__":
    main()
