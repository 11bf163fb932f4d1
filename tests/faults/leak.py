"""A night with a leak: thousands of jobs by a worker whose every picture leaks, and what the memory guard makes of it.

`make leak` runs it with 3,000 jobs, which takes some ten minutes.
"""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import click
import psutil
from faults import assert_promise_kept, leaking
from installation import Installation
from redis_server import RedisServer
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from models.records.tables import Attempt, Boot, GuardAction, Job
from models.types.exit_status import ExitStatus
from models.types.states import FINISHED, JobState

MB = 10**6
#: Seconds without a picture after which the night has come to a stop.
_STANDSTILL_S = 300.0
_MOST_AT_ONCE = 10_000

_out = Console(highlight=False)


@click.command
@click.option("--jobs", default=3_000, show_default=True, help="Pictures to be made.")
@click.option("--leak-mb", default=10, show_default=True, help="What each of them leaks.")
@click.option("--limit-gb", default=4.0, show_default=True, help="NIGHTSHIFT_MEMORY_LIMIT_GB.")
def main(jobs: int, leak_mb: int, limit_gb: float) -> None:
    """Make the pictures, start the worker again whenever it ends, and check that each was made once."""
    swap = psutil.swap_memory().used
    with tempfile.TemporaryDirectory(prefix="leak-") as name:
        folder = Path(name)
        server = RedisServer(folder / "server", append_only=True)
        server.start()
        settings = {
            **leaking(leak_mb * MB),
            "NIGHTSHIFT_MEMORY_LIMIT_GB": str(limit_gb),
        }
        nightshift = Installation(folder, server.url(), **settings)
        try:
            for begun in range(0, jobs, _MOST_AT_ONCE):
                count = min(_MOST_AT_ONCE, jobs - begun)
                nightshift.enqueue("--prompt", "a red boot", "--count", count, "--steps", 2)
            ends = _work(nightshift)
            _check(nightshift, jobs, ends, psutil.swap_memory().used - swap, limit_gb)
        finally:
            nightshift.close()
            server.kill()


def _work(nightshift: Installation) -> Counter[int]:
    """Keep a worker running until nothing is left to do; return how it ended each time."""
    ends: Counter[int] = Counter()
    worker, left, moved = nightshift.start_worker_anew(), None, time.monotonic()
    while (now_left := _left(nightshift)) > 0:
        if now_left != left:
            left, moved = now_left, time.monotonic()
        assert time.monotonic() - moved < _STANDSTILL_S, f"{left} jobs are not made"
        if worker.status is not None:
            ends[worker.wait()] += 1
            _out.print(f"{left:6} to go; the worker ended with status {worker.status}")
            worker = nightshift.start_worker_anew()
        time.sleep(0.2)
    ends[worker.stop()] += 1
    return ends


def _left(nightshift: Installation) -> int:
    with nightshift.database.reading() as session:
        return session.scalar(select(func.count(Job.id)).where(Job.state.not_in(FINISHED))) or 0


def _check(nightshift: Installation, jobs: int, ends: Counter[int], swapped: int, limit_gb: float) -> None:
    made = nightshift.jobs()
    assert len(made) == jobs
    assert {(job.state, job.attempts) for job in made} == {(JobState.SUCCEEDED, 1)}
    assert set(ends) <= {ExitStatus.DONE, ExitStatus.MEMORY}
    assert_promise_kept(nightshift)
    most = max(attempt.rss_after_bytes or 0 for attempt in nightshift.rows(Attempt))
    table = Table("measured", "figure")
    for name, figure in (
        ("pictures, each made once", f"{jobs:,}"),
        ("boots", str(len(nightshift.rows(Boot)))),
        *((f"memory guard: {step}", str(count)) for step, count in Counter(_steps(nightshift)).items()),
        ("most that the worker held after a picture, limit", f"{most / 1e9:.2f} GB, {limit_gb:g} GB"),
        ("swap grew by", f"{swapped / MB:.0f} MB"),
    ):
        table.add_row(name, figure)
    _out.print(table)


def _steps(nightshift: Installation) -> list[str]:
    return [action.step for action in nightshift.rows(GuardAction)]


if __name__ == "__main__":
    sys.exit(main())
