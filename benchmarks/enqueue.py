"""Jobs a second onto the queue, beside plain task queues, and the memory it takes: `python -m benchmarks.enqueue`.

Nightshift reads each prompt from a file, validates it, counts its tokens, records a row and puts a message on the
queue; Celery's `apply_async`, RQ's `enqueue` and dramatiq's `send` put a message there. Each side is a program of its
own that does the same number, in turn; seconds are those of the whole program. The memory is the highest resident size
of `producer enqueue` for 10,000 jobs and for `--memory` of them. Prints tables, and JSON last.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.sides import PRODUCER, Queue, queue

_FEW = 10_000
#: What a person writes who has no producer; the arguments are where Redis is and how many jobs.
_PLAIN = {
    "celery apply_async": """
from celery import Celery
app = Celery(broker="redis+socket://" + socket)
@app.task(name="generate")
def generate(prompt):
    print(prompt)
for number in range(count):
    generate.apply_async(args=[prompt(number)])
""",
    "rq enqueue": """
from redis import Redis
from rq import Queue
queue = Queue(connection=Redis(unix_socket_path=socket))
for number in range(count):
    queue.enqueue("builtins.print", prompt(number))
""",
    "dramatiq send": """
import dramatiq
from dramatiq.brokers.redis import RedisBroker
broker = RedisBroker(url="unix://" + socket)
@dramatiq.actor(broker=broker)
def generate(prompt):
    print(prompt)
for number in range(count):
    generate.send(prompt(number))
""",
}
_HEAD = """
import sys
socket, count = sys.argv[1], int(sys.argv[2])
prompt = "A product photo of a casual shoe, number {}, on white, studio light".format
"""


def main() -> None:
    """Measure every side and print the rates."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs a turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, default=100_000, help="jobs whose memory is compared with 10,000 jobs'")
    asked = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in ("producer enqueue", *_PLAIN)}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.rounds):
            # A server and a database of the turn's own: none is slowed by what the others left behind.
            with queue(Path(folder, str(number)), worker=False) as side:
                seconds["producer enqueue"].append(_enqueue(side, asked.jobs)[0])
                for name, program in _PLAIN.items():
                    seconds[name].append(_plain(side, program, asked.jobs))
        with queue(Path(folder, "few"), worker=False) as side:
            few = _enqueue(side, _FEW)[1]
        with queue(Path(folder, "many"), worker=False) as side:
            many_s, many = _enqueue(side, asked.memory)
    rates = {name: asked.jobs / statistics.median(taken) for name, taken in seconds.items()}
    print(f"{asked.jobs:,} jobs{'':9}{'jobs a second':>16}{'slowest':>10}{'fastest':>10}{'producer / it':>16}")
    for name, taken in seconds.items():
        ratio = statistics.median(
            theirs / ours for ours, theirs in zip(seconds["producer enqueue"], taken, strict=True)
        )
        slowest, fastest = asked.jobs / max(taken), asked.jobs / min(taken)
        print(f"{name:20}{rates[name]:16,.0f}{slowest:10,.0f}{fastest:10,.0f}{ratio:16.2f}")
    grown = many - few
    print(f"\n{asked.memory:,} jobs in {many_s:.1f} s: {asked.memory / many_s:,.0f} a second")
    print(f"highest resident size: {few / 1e6:.0f} MB for {_FEW:,} jobs, {grown / 1e6:+.0f} MB for {asked.memory:,}")
    memory = {"jobs": asked.memory, "seconds": many_s, "bytes": many, "bytes_for_10_000": few}
    print(json.dumps({"jobs": asked.jobs, "jobs_a_second": rates, "seconds": seconds, "memory": memory}))


def _enqueue(side: Queue, count: int) -> tuple[float, int]:
    """Return the seconds of `producer enqueue` for so many prompts, and its highest resident size in bytes."""
    prompts = side.folder / "shoes.txt"
    with prompts.open("w") as file:
        for number in range(count):
            print(f"A product photo of a casual shoe, number {number}, on white, studio light", file=file)
    return _measured([str(PRODUCER), "enqueue", "--prompts", str(prompts)], side.environment)


def _plain(side: Queue, program: str, count: int) -> float:
    return _measured([sys.executable, "-c", _HEAD + program, side.socket, str(count)], {})[0]


def _measured(command: list[str], variables: Mapping[str, str]) -> tuple[float, int]:
    begun = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command[0]} ended with status {process.returncode}")
    # Linux counts in KiB, macOS in bytes.
    return time.perf_counter() - begun, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
