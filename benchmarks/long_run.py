"""Whether the last picture of a long run is made as fast as the first: `python -m benchmarks.long_run --plot FILE`.

3,000 jobs of the demo go through queue, worker, database and disk. After every 50 the queue is paused and a plain loop
makes 10 pictures, since the pace of a shared machine wanders by more in ten minutes than what is looked for: what
counts is the queue's pace against the loop's beside it. All the while the worker's memory as the kernel has it and the
sizes of database, log and queue are read from outside; the pace comes from the times of the files. Prints what changed
between the start and the end, draws it to FILE, and prints JSON last.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import psutil
import redis
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.plain_loop import of_demo, plain_loop
from benchmarks.sides import Queue, nothing_runs, queue, seconds_between
from models.figures.progress import batch_progress, newest_batches
from models.records.database import Session

#: Pictures between two pauses, and those of the plain loop in each.
_BLOCK, _BESIDE = 50, 10
#: Blocks after which memory and pace have settled, and blocks at either end that are compared.
_SETTLED, _END = 2, 10
_INTERVAL_S = 0.5


@dataclass(frozen=True)
class Sample:
    """What was read at one moment."""

    seconds: float
    pictures: int
    resident_bytes: int
    database_bytes: int
    log_bytes: int
    queue_bytes: int


@dataclass(frozen=True)
class Block:
    """Seconds a picture through the queue, and in the plain loop right after."""

    pictures: int
    queue_s: float
    loop_s: float


def main() -> None:
    """Run, measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--jobs", type=int, default=3_000, help="400 and more")
    parser.add_argument("--plot", type=Path, help="draw to this PNG file")
    asked = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        loop = stack.enter_context(plain_loop(Path(folder, "plain"), of_demo()))
        side = stack.enter_context(queue(Path(folder, "queued"), worker=True))
        run = _Run(side, asked.jobs)
        loop(_BESIDE)
        blocks = list(run.make_blocks(loop))
    samples = run.samples
    settled = next(sample for sample in samples if sample.pictures >= _SETTLED * _BLOCK)
    end = min(_END, (len(blocks) - _SETTLED) // 2)
    resident = [sample.resident_bytes for sample in samples[samples.index(settled) :]]
    tenth = len(resident) // 10
    grown = mean(resident[-tenth:]) - mean(resident[:tenth])
    first, last = blocks[_SETTLED : _SETTLED + end], blocks[-end:]
    paces = [mean(block.loop_s for block in part) / mean(block.queue_s for block in part) for part in (first, last)]
    results = {
        "jobs": asked.jobs,
        "queue_against_loop_first": paces[0],
        "queue_against_loop_last": paces[1],
        "last_against_first": paces[1] / paces[0],
        "resident_growth_bytes": grown,
        "resident_most_bytes": max(resident) - resident[0],
        "database_bytes_a_job": samples[-1].database_bytes / asked.jobs,
        "log_bytes_a_job": samples[-1].log_bytes / asked.jobs,
        "queue_bytes_a_job": (max(sample.queue_bytes for sample in samples) - samples[-1].queue_bytes) / asked.jobs,
    }
    print(f"{asked.jobs:,} pictures in {(time.monotonic() - begun) / 60:.1f} min, pauses included")
    print(
        f"pictures a second against the plain loop, {end * _BLOCK} after the first {_SETTLED * _BLOCK}  {paces[0]:8.3f}"
    )
    print(f"pictures a second against the plain loop, last {end * _BLOCK}             {paces[1]:8.3f}")
    print(f"the last against the first                                   {paces[1] / paces[0]:8.3f}")
    print(f"resident memory after the first {_SETTLED * _BLOCK}, first tenth to last    {grown / 1e6:+8.1f} MB")
    most = (max(resident) - resident[0]) / 1e6
    print(f"resident memory after the first {_SETTLED * _BLOCK}, at most             {most:+8.1f} MB")
    for what in ("database", "log", "queue"):
        print(f"{what + ', a job':60} {results[what + '_bytes_a_job']:8,.0f} B")
    if asked.plot:
        _draw(samples, blocks, asked.plot)
    print(json.dumps(results | {"blocks": [asdict(block) for block in blocks]}))


class _Run:
    """A batch on a queue that is paused but for the blocks that are asked for."""

    def __init__(self, side: Queue, jobs: int) -> None:
        self._side = side
        self._worker = psutil.Process(side.worker_pid)
        self._server = redis.Redis(unix_socket_path=side.socket)
        self._begun = time.monotonic()
        self._made, self._jobs = 0, jobs
        self.samples: list[Sample] = []
        prompts = side.folder / "shoes.txt"
        prompts.write_text("".join(f"A product photo of a casual shoe, number {number}\n" for number in range(jobs)))
        side.producer("pause")
        side.producer("enqueue", "--prompts", str(prompts), "--seed", "1")

    def make_blocks(self, loop: Callable[[int], float]) -> Iterator[Block]:
        """Have all pictures made, block by block, and after each block those of the loop."""
        # A pause comes when a few pictures more are made; what is left at last is too short to be a block.
        while self._made + _BLOCK <= self._jobs:
            yield self._make_block(self._made + _BLOCK, loop)
        self._side.producer("resume")
        self._side.wait_until(lambda session: self._read(session) == self._jobs, _INTERVAL_S)

    def _make_block(self, goal: int, loop: Callable[[int], float]) -> Block:
        self._side.producer("resume")
        resumed = time.time()
        self._side.wait_until(lambda session: self._read(session) >= goal, _INTERVAL_S)
        paused = time.time()
        self._side.producer("pause")
        self._side.wait_until(nothing_runs)
        pictures = (self._side.folder / "data" / "pictures").rglob("*.png")
        moments = [moment for file in pictures if resumed < (moment := file.stat().st_mtime) < paused]
        self._made = self._side.wait_until(self._read)
        return Block(self._made, seconds_between(moments), loop(_BESIDE))

    def _read(self, session: Session) -> int:
        """Read everything once, and return how many pictures there are."""
        made = batch_progress(session, newest_batches(session, 1)[0]).finished
        data = self._side.folder / "data"
        self.samples.append(
            Sample(
                seconds=time.monotonic() - self._begun,
                pictures=made,
                resident_bytes=self._worker.memory_info().rss,
                database_bytes=sum(file.stat().st_size for file in data.glob("nightshift.db*")),
                log_bytes=self._side.log.stat().st_size,
                queue_bytes=self._server.info("memory")["used_memory"],
            )
        )
        return made


def _draw(samples: Sequence[Sample], blocks: Sequence[Block], file: Path) -> None:
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    pace, memory, sizes, queued = figure.subplots(2, 2).flat
    ends = [block.pictures for block in blocks]
    pace.plot(ends, [block.loop_s for block in blocks], color="0.6", label="plain loop")
    pace.plot(ends, [block.queue_s for block in blocks], label="queue")
    pace.set_title("Seconds a picture")
    pace.legend(loc="lower right")
    made = [sample.pictures for sample in samples]

    def line(where: Axes, title: str, value: Callable[[Sample], float], label: str | None = None) -> None:
        where.plot(made, [value(sample) for sample in samples], label=label)
        where.set_title(title)

    line(memory, "The worker's resident memory, MB", lambda sample: sample.resident_bytes / 1e6)
    line(sizes, "On disk, MB", lambda sample: sample.database_bytes / 1e6, "database")
    line(sizes, "On disk, MB", lambda sample: sample.log_bytes / 1e6, "log")
    sizes.legend()
    line(queued, "Queue in Redis, MB", lambda sample: sample.queue_bytes / 1e6)
    for where in (pace, memory, sizes, queued):
        where.set_xlabel("pictures made")
        where.set_ylim(0, 1.1 * where.get_ylim()[1])
        where.grid(alpha=0.3)
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
