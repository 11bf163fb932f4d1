"""The report's figures against what is measured from outside: `python -m benchmarks.figures`.

Batches of the demo are made one after the other. Of each, the wall-clock time of `producer report` is held against the
times of the files, and the time that it estimates for as many pictures more against the batch that came next. The peak
of resident memory is held against the kernel's own, which Linux alone can begin anew for a running process. Prints a
table, and JSON last.
"""

import argparse
import json
import statistics
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

from sqlalchemy import select

from benchmarks.sides import PROMPT, Queue, queue
from models.records.database import Session
from models.records.tables import Batch, Job
from models.types.states import FINISHED

_PICTURES = 100
_WARM_UP = "warm-up"


def main() -> None:
    """Measure both sides and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--batches", type=int, default=6, help=f"of {_PICTURES} pictures each")
    asked = parser.parse_args()
    names = [f"batch-{number}" for number in range(asked.batches)]
    with tempfile.TemporaryDirectory() as folder, queue(Path(folder, "run"), worker=True) as side:
        for name in (_WARM_UP, *names):
            count = 20 if name == _WARM_UP else _PICTURES
            arguments = ("--new", "--prompt", PROMPT, "--count", str(count), "--batch", name)
            side.producer("enqueue", *arguments)
        side.wait_until(lambda session: _is_made(session, _WARM_UP))
        _forget_peak(side)
        side.wait_until(lambda session: _is_made(session, names[-1]))
        kernel = _kernel_peak(side)
        ends = [_last_file(side, name) for name in (_WARM_UP, *names)]
        reports = [json.loads(side.producer("report", name, "--json")) for name in names]
    # From the last picture of the batch before, since the worker never waits.
    outside = [later - earlier for earlier, later in pairwise(ends)]
    wall = [report["speed"]["wall_s"] / seconds for report, seconds in zip(reports, outside, strict=True)]
    estimates = [next(each for each in report["estimates"] if each["pictures"] == _PICTURES) for report in reports]
    expected = [each["seconds"] / seconds for each, seconds in zip(estimates, outside[1:], strict=False)]
    held = [each["low_s"] <= seconds <= each["high_s"] for each, seconds in zip(estimates, outside[1:], strict=False)]
    sampled = max(row["peak"] for report in reports for row in report["memory"] if row["kind"] == "rss")
    memory = None if kernel is None else sampled / kernel
    print(f"{'the report against outside':50}{'median':>10}{'least':>10}{'most':>10}")
    for what, ratios in (("wall-clock time of 100 pictures", wall), ("estimate of the next 100", expected)):
        print(f"{what:50}{statistics.median(ratios):10.4f}{min(ratios):10.4f}{max(ratios):10.4f}")
    print(f"{'highest resident memory':50}{'not measured' if memory is None else f'{memory:10.4f}'}")
    print(f"ranges of an estimate that held the next batch: {sum(held)} of {len(held)}")
    print(json.dumps({"wall": wall, "estimate": expected, "ranges_held": held, "memory": memory}))


def _is_made(session: Session, name: str) -> bool:
    states = session.scalars(select(Job.state).join(Batch).where(Batch.name == name)).all()
    return all(state in FINISHED for state in states)


def _last_file(side: Queue, name: str) -> float:
    pictures = side.wait_until(
        lambda session: session.scalars(select(Job.picture).join(Batch).where(Batch.name == name)).all()
    )
    return max((side.folder / "data" / str(picture)).stat().st_mtime for picture in pictures)


def _forget_peak(side: Queue) -> None:
    """Have the kernel count the worker's highest resident size from now on (proc(5), clear_refs)."""
    if sys.platform == "linux":
        Path(f"/proc/{side.worker_pid}/clear_refs").write_text("5")


def _kernel_peak(side: Queue) -> int | None:
    """Return the worker's highest resident size in bytes as the kernel has it."""
    if sys.platform != "linux":
        return None
    status = Path(f"/proc/{side.worker_pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
