"""Whether the last picture of a long run is made as fast as the first: `python -m benchmarks.long_run --plot FILE`.

3,000 jobs of the demo go through queue, worker, database and disk. Every second, from outside, the worker's memory and
processor time as the kernel has them and the sizes of database, log and queue are read; the pictures' pace comes from
the times of their files. Prints what changed between the start and the end, draws it to FILE, and prints JSON last.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean

import psutil
import redis
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.sides import Queue, queue
from models.database import Session
from models.progress import batch_progress, newest_batches

#: Pictures after which memory and pace have settled.
_SETTLED = 100
#: Pictures at either end whose pace is compared.
_END = 500
_INTERVAL_S = 1.0


@dataclass(frozen=True)
class Sample:
    """What was read at one moment."""

    seconds: float
    pictures: int
    resident_bytes: int
    #: Of the worker, in user and kernel mode.
    processor_s: float
    database_bytes: int
    log_bytes: int
    queue_bytes: int


def main() -> None:
    """Run, measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--jobs", type=int, default=3_000)
    parser.add_argument("--plot", type=Path, help="draw to this PNG file")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, queue(Path(folder, "run"), worker=True) as side:
        samples = _follow(side, asked.jobs)
        moments = sorted(file.stat().st_mtime for file in (side.folder / "data" / "pictures").rglob("*.png"))
    if len(moments) != asked.jobs:
        raise SystemExit(f"{len(moments):,} pictures of {asked.jobs:,} jobs")
    end = min(_END, (asked.jobs - _SETTLED) // 2)
    first, last = _pace(moments[_SETTLED : _SETTLED + end]), _pace(moments[-end:])
    settled = next(sample for sample in samples if sample.pictures >= _SETTLED)
    half_way = next(sample for sample in samples if sample.pictures >= asked.jobs // 2)
    work = _processor_s(settled, half_way), _processor_s(half_way, samples[-1])
    grown = max(sample.resident_bytes for sample in samples[samples.index(settled) :]) - settled.resident_bytes
    made = samples[-1].pictures - settled.pictures
    results = {
        "jobs": asked.jobs,
        "pictures_a_second_first": first,
        "pictures_a_second_last": last,
        "last_against_first": last / first,
        "processor_s_a_picture": work,
        "resident_growth_bytes": grown,
        "database_bytes_a_job": samples[-1].database_bytes / asked.jobs,
        "log_bytes_a_job": (samples[-1].log_bytes - settled.log_bytes) / made,
        "queue_bytes_a_job": (max(sample.queue_bytes for sample in samples) - samples[-1].queue_bytes) / asked.jobs,
    }
    print(f"{asked.jobs:,} pictures in {(moments[-1] - moments[0]) / 60:.1f} min")
    print(f"pictures a second, {end} after the first {_SETTLED}  {first:10.3f}")
    print(f"pictures a second, last {end}             {last:10.3f}   {last / first:.3f} of it")
    print(f"processor time a picture, first half     {work[0]:10.3f} s")
    print(f"processor time a picture, second half    {work[1]:10.3f} s {work[1] / work[0]:.3f} of it")
    print(f"resident memory, most after the first {_SETTLED} {grown / 1e6:+9.1f} MB")
    for what in ("database", "log", "queue"):
        print(f"{what + ', a job':40} {results[what + '_bytes_a_job']:10,.0f} B")
    if asked.plot:
        _draw(samples, moments, asked.plot)
    print(json.dumps(results | {"samples": [asdict(sample) for sample in samples[:: len(samples) // 100 or 1]]}))


def _follow(side: Queue, jobs: int) -> list[Sample]:
    """Put the jobs on the queue and return what was read until all are finished."""
    worker = psutil.Process(side.worker_pid)
    server = redis.Redis(unix_socket_path=side.socket)
    prompts = side.folder / "shoes.txt"
    prompts.write_text("".join(f"A product photo of a casual shoe, number {number}\n" for number in range(jobs)))
    begun = time.monotonic()
    side.producer("enqueue", "--prompts", str(prompts), "--seed", "1")
    samples = []

    def read(pictures: int) -> None:
        data = side.folder / "data"
        with worker.oneshot():
            used = worker.cpu_times()
            samples.append(
                Sample(
                    seconds=time.monotonic() - begun,
                    pictures=pictures,
                    resident_bytes=worker.memory_info().rss,
                    processor_s=used.user + used.system,
                    database_bytes=sum(file.stat().st_size for file in data.glob("nightshift.db*")),
                    log_bytes=side.log.stat().st_size,
                    queue_bytes=server.info("memory")["used_memory"],
                )
            )

    def look(session: Session) -> bool:
        progress = batch_progress(session, newest_batches(session, 1)[0])
        read(progress.finished)
        return progress.remaining == 0

    side.wait_until(look, _INTERVAL_S)
    return samples


def _pace(moments: Sequence[float]) -> float:
    return (len(moments) - 1) / (moments[-1] - moments[0])


def _processor_s(begin: Sample, end: Sample) -> float:
    return (end.processor_s - begin.processor_s) / (end.pictures - begin.pictures)


def _draw(samples: Sequence[Sample], moments: Sequence[float], file: Path) -> None:
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    pace, memory, sizes, queued = figure.subplots(2, 2).flat
    seconds = [later - earlier for earlier, later in pairwise(moments)]
    hundreds = [mean(seconds[start : start + 100]) for start in range(0, len(seconds), 100)]
    pace.plot(range(1, len(seconds) + 1), seconds, ".", markersize=1.5, color="0.7", label="each picture")
    pace.step(range(0, len(seconds), 100), hundreds, where="post", color="C0", label="mean of 100")
    pace.set(title="Seconds a picture", ylim=(0, 2 * max(hundreds)))
    pace.legend(loc="lower right")
    made = [sample.pictures for sample in samples]

    def line(where: Axes, title: str, value: Callable[[Sample], float], label: str | None = None) -> None:
        where.plot(made, [value(sample) for sample in samples], label=label)
        where.set(title=title, ylim=(0, None))

    line(memory, "The worker's resident memory, MB", lambda sample: sample.resident_bytes / 1e6)
    line(sizes, "On disk, MB", lambda sample: sample.database_bytes / 1e6, "database")
    line(sizes, "On disk, MB", lambda sample: sample.log_bytes / 1e6, "log")
    sizes.legend()
    line(queued, "Queue in Redis, MB", lambda sample: sample.queue_bytes / 1e6)
    for where in (pace, memory, sizes, queued):
        where.set_xlabel("pictures made")
        where.grid(alpha=0.3)
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
