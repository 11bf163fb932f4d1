"""How long a fleet takes whose machines fail: `python -m benchmarks.simulation --workers 100 --picture 4`.

Each worker claims a job from the one record, which serves so many at a time, makes the picture on its device, and goes
on. A machine fails at random, once in so many hours: its picture is lost and made again, by any worker, and it is back
after a while. What a job costs the record and the worker's processor is measured by `benchmarks.fleet`.
"""

import argparse
import heapq
import json
import random
from dataclasses import asdict, dataclass

_HOUR = 3600.0


@dataclass(frozen=True)
class Fleet:
    """Workers and what they share; durations in seconds."""

    workers: int
    picture_s: float
    #: What a job costs the record, which serves as many at a time as it has cores.
    record_s: float
    cores: int = 1
    #: 0: machines do not fail.
    fails_each_h: float = 0.0
    away_s: float = 300.0


@dataclass(frozen=True)
class Outcome:
    """What became of it."""

    hours: float
    pictures_per_s: float
    #: Pictures that were begun and lost with their machines.
    lost: int
    #: The share of the devices' time in which they made pictures that were kept.
    busy: float


def simulate(fleet: Fleet, pictures: int, seed: int = 1) -> Outcome:
    """Return how a fleet makes so many pictures."""
    draw = random.Random(seed)

    def next_failure(moment: float) -> float:
        return moment + draw.expovariate(1 / (fleet.fails_each_h * _HOUR)) if fleet.fails_each_h else float("inf")

    cores = [0.0] * fleet.cores
    fails_at = [next_failure(0.0) for _ in range(fleet.workers)]
    # They do not begin at the same moment, as no fleet does.
    free = [(draw.uniform(0, fleet.picture_s), worker) for worker in range(fleet.workers)]
    heapq.heapify(free)
    left, lost, last = pictures, 0, 0.0
    while left:
        moment, worker = heapq.heappop(free)
        served = max(moment, cores[0]) + fleet.record_s
        heapq.heapreplace(cores, served)
        done = served + fleet.picture_s
        if fails_at[worker] < done:
            back = max(moment, fails_at[worker]) + fleet.away_s
            lost += fails_at[worker] > served
            fails_at[worker] = next_failure(back)
            heapq.heappush(free, (back, worker))
            continue
        left -= 1
        last = max(last, done)
        heapq.heappush(free, (done, worker))
    return Outcome(last / _HOUR, pictures / last, lost, pictures * fleet.picture_s / (fleet.workers * last))


def main() -> None:
    """Simulate, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--workers", default="1,10,100,1000", help="how many, one number after another")
    parser.add_argument("--picture", type=float, default=4.0, help="seconds of a picture on a device")
    parser.add_argument("--record", type=float, default=0.005, help="seconds that a job costs the record's processor")
    parser.add_argument("--cores", type=int, default=1, help="processor cores of the record")
    parser.add_argument("--fails", type=float, default=24.0, help="hours after which a machine fails; 0: never")
    parser.add_argument("--away", type=float, default=300.0, help="seconds until it is back")
    asked = parser.parse_args()
    heads = ("workers", "hours", "pictures/s", "lost", "busy")
    print("  ".join(f"{head:>10}" for head in heads))
    rows = []
    for count in map(int, asked.workers.split(",")):
        fleet = Fleet(count, asked.picture, asked.record, asked.cores, asked.fails, asked.away)
        found = simulate(fleet, asked.pictures)
        rows.append(asdict(fleet) | asdict(found))
        cells = f"{count}", f"{found.hours:,.1f}", f"{found.pictures_per_s:.2f}", f"{found.lost}", f"{found.busy:.1%}"
        print("  ".join(f"{cell:>10}" for cell in cells))
    print(json.dumps({"pictures": asked.pictures, "rows": rows}))


if __name__ == "__main__":
    main()
