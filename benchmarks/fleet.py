"""What one Redis and one database carry: `python -m benchmarks.fleet`.

Workers whose device sleeps for as long as a picture takes, over the servers that the settings name
(NIGHTSHIFT_BROKER_URL, NIGHTSHIFT_DATABASE_URL; without them a server and a file of its own), for each number of
workers in turn. In the same run as many workers of plain Celery, with a task that sleeps as long and has no record.
Prints jobs a second, how long a device waited from one picture to the next, milliseconds of a processor that a job
costs its worker, Redis and the database, and, on PostgreSQL, transactions and bytes of its log a job; JSON last. The
database's processor time is known where it is PostgreSQL on this machine, and its user may read its files.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
from celery import Celery
from sqlalchemy import func, select, text

from benchmarks.sides import PRODUCER, queue, running
from benchmarks.sleeping_worker import VARIABLE
from models.records.database import Database
from models.records.tables import Attempt, Batch, Boot, Job
from models.types.errors import NightshiftError
from models.types.states import JobState

_LOOK_S = 0.1
plain = Celery("plain", broker=os.environ.get("NIGHTSHIFT_BROKER_URL"))
plain.conf.update(
    task_ignore_result=True, worker_prefetch_multiplier=1, task_acks_late=True, task_default_queue="benchmark-fleet"
)


@plain.task(name="benchmarks.fleet.sleep")
def sleep() -> None:
    """Take as long as a picture."""
    time.sleep(float(os.environ[VARIABLE]))


def main() -> None:
    """Measure each number of workers, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--workers", default="1,4,16", help="how many at once, one number after another")
    parser.add_argument("--seconds", type=float, default=0.1, help="of a picture")
    parser.add_argument("--jobs", type=int, default=100, help="jobs for each worker")
    asked = parser.parse_args()
    os.environ[VARIABLE] = str(asked.seconds)
    counts = [int(number) for number in asked.workers.split(",")]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        own = stack.enter_context(queue(folder / "own", worker=False))
        given = {name: value for name, value in os.environ.items() if name.startswith("NIGHTSHIFT_")}
        environment = own.environment | given
        database = Database(
            environment.get("NIGHTSHIFT_DATABASE_URL", f"sqlite:///{folder}/own/data/nightshift.db"), migrate=True
        )
        stack.callback(database.close)
        rows = [
            {
                "workers": count,
                **_queue(folder / f"fleet-{count}", database, environment, count, count * asked.jobs),
                "plain_per_s": _plain(folder, environment, count, count * asked.jobs),
            }
            for count in counts
        ]
    rates, costs = "workers jobs/s at_most plain wait_p50 p99", "worker redis database commits log"
    heads = f"{rates} {costs}".split()
    print("  ".join(f"{head:>11}" for head in heads))
    for row in rows:
        cells = (
            f"{row['workers']}",
            f"{row['per_s']:.1f}",
            f"{row['workers'] / asked.seconds:.1f}",
            f"{row['plain_per_s']:.1f}",
            f"{row['wait_p50_s'] * 1000:.1f} ms",
            f"{row['wait_p99_s'] * 1000:.1f} ms",
            *(_shown(row[name], 1000, "ms") for name in ("workers_cpu_s", "redis_cpu_s", "database_cpu_s")),
            _shown(row["commits"], 1, ""),
            _shown(row["log_bytes"], 1 / 1000, "kB"),
        )
        print("  ".join(f"{cell:>11}" for cell in cells))
    print(json.dumps({**vars(asked), "rows": rows}))


def _shown(figure: float | None, times: float, unit: str) -> str:
    return "-" if figure is None else f"{figure * times:.1f} {unit}".rstrip()


def _queue(folder: Path, database: Database, environment: dict[str, str], count: int, jobs: int) -> dict[str, Any]:
    """Have so many workers make so many jobs."""
    folder.mkdir()
    workers = []
    with ExitStack() as stack:
        with database.reading() as session:
            before = session.scalar(select(func.max(Boot.id))) or 0
        for number in range(count):
            # A host of its own, as far as locks go.
            own = {"NIGHTSHIFT_DATA_DIR": str(folder / str(number)), "NIGHTSHIFT_DATABASE_URL": database.url}
            loader = {"CELERY_LOADER": "benchmarks.sleeping_worker:Loader", "PYTHONPATH": str(Path.cwd())}
            worker = stack.enter_context(
                running(
                    sys.executable, "-m", "celery", "-A", "worker", "worker",
                    variables=environment | own | loader, log=folder / f"{number}.log",
                )
            )  # fmt: skip
            workers.append(worker.pid)
        _wait(database, select(func.count()).where(Boot.id > before, Boot.ready_at.is_not(None)), count)
        figures = _spent(database, environment, workers)
        with tempfile.TemporaryDirectory() as elsewhere:
            told = environment | {"NIGHTSHIFT_DATABASE_URL": database.url}
            asked = ["--prompt", "a red shoe", "--count", str(jobs), "--new", "--width", "64", "--height", "64"]
            subprocess.run(
                [PRODUCER, "enqueue", *asked], env=os.environ | told, cwd=elsewhere, check=True, capture_output=True
            )
        with database.reading() as session:
            batch_id = session.scalar(select(func.max(Batch.id)))
        made = select(func.count()).where(Job.batch_id == batch_id, Job.state == JobState.SUCCEEDED)
        _wait(database, made, jobs)
        after = _spent(database, environment, workers)
        with database.reading() as session:
            rows = session.execute(
                select(Attempt.started_at, Attempt.finished_at, Attempt.gap_s).where(Attempt.batch_id == batch_id)
            ).all()
    percentiles = statistics.quantiles([row.gap_s for row in rows if row.gap_s is not None], n=100)
    took = max(row.finished_at for row in rows) - min(row.started_at for row in rows)
    return {
        "per_s": jobs / took.total_seconds(),
        "wait_p50_s": percentiles[49],
        "wait_p99_s": percentiles[98],
        **{name: None if after[name] is None else (after[name] - spent) / jobs for name, spent in figures.items()},
    }


def _plain(folder: Path, environment: dict[str, str], count: int, jobs: int) -> float:
    """Return the jobs a second of so many workers of plain Celery."""
    broker = environment["NIGHTSHIFT_BROKER_URL"]
    plain.conf.broker_url = broker
    with ExitStack() as stack:
        variables = {"NIGHTSHIFT_BROKER_URL": broker, "PYTHONPATH": str(Path.cwd())}
        for number in range(count):
            command = [
                "celery",
                "-A",
                "benchmarks.fleet:plain",
                "worker",
                "--pool",
                "threads",
                "--concurrency",
                "1",
                "--loglevel",
                "INFO",
            ]
            log = folder / f"plain-{count}-{number}.log"
            stack.enter_context(
                running(sys.executable, "-m", *command, "-n", f"plain-{number}@%h", variables=variables, log=log)
            )
        while sum("ready." in file.read_text() for file in folder.glob(f"plain-{count}-*.log")) < count:
            time.sleep(_LOOK_S)
        with plain.connection_for_write() as connection:
            client = connection.default_channel.client
            begun = time.monotonic()
            for _ in range(jobs):
                sleep.apply_async(connection=connection)
            # What waits, and what was taken and is not acknowledged.
            while client.llen("benchmark-fleet") or client.hlen("unacked"):
                time.sleep(0.02)
            return jobs / (time.monotonic() - begun)


def _spent(database: Database, environment: dict[str, str], workers: list[int]) -> dict[str, Any]:
    """Return what was used so far: seconds of a processor, commits, bytes of log; None of what cannot be told."""
    plain.conf.broker_url = environment["NIGHTSHIFT_BROKER_URL"]
    with plain.connection_for_write() as connection:
        redis = connection.default_channel.client.info("cpu")
    spent: dict[str, Any] = {
        "workers_cpu_s": sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in workers),
        "redis_cpu_s": redis["used_cpu_user"] + redis["used_cpu_sys"],
        "database_cpu_s": None,
        "commits": None,
        "log_bytes": None,
    }
    if database.url.startswith("postgres"):
        with database.reading() as session:
            session.execute(text("SELECT pg_stat_clear_snapshot()"))
            commits = text("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
            spent["commits"] = session.scalar(commits)
            spent["log_bytes"] = float(session.scalar(text("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")))
        spent["database_cpu_s"] = _of_postmaster(database)
    return spent


def _of_postmaster(database: Database) -> float | None:
    """Return the processor time of a PostgreSQL's processes, those that ended among them."""
    try:
        with database.reading() as session:
            number = int(session.scalar(text("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)")) or 0)
        postmaster = psutil.Process(number)
        return sum(postmaster.cpu_times()[:4]) + sum(sum(one.cpu_times()[:2]) for one in postmaster.children())
    except (NightshiftError, psutil.NoSuchProcess):
        return None


def _wait(database: Database, count: Any, wanted: int) -> None:
    while True:
        with database.reading() as session:
            if (session.scalar(count) or 0) >= wanted:
                return
        time.sleep(_LOOK_S)


if __name__ == "__main__":
    main()
