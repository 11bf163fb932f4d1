"""What one Redis and one database carry: `python -m benchmarks.fleet`.

Workers whose device sleeps for as long as a picture takes, over the servers that the settings name
(NIGHTSHIFT_BROKER_URL, NIGHTSHIFT_DATABASE_URL; without them a server and a file of its own), for each number of
workers in turn. In the same run as many workers of plain Celery, with a task that sleeps as long and has no record.
Prints jobs a second, how long a device waited from one picture to the next, and, on PostgreSQL, transactions and bytes
of its log a job; JSON last.
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

from celery import Celery
from sqlalchemy import func, select, text

from benchmarks.sides import PRODUCER, queue, running
from benchmarks.sleeping_worker import VARIABLE
from models.records.database import Database
from models.records.tables import Attempt, Batch, Boot, Job
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
    heads = ("workers", "jobs/s", "at most", "plain", "wait p50", "p99", "commits/job", "log/job")
    print("  ".join(f"{head:>11}" for head in heads))
    for row in rows:
        cells = (
            f"{row['workers']}",
            f"{row['per_s']:.1f}",
            f"{row['workers'] / asked.seconds:.1f}",
            f"{row['plain_per_s']:.1f}",
            f"{row['wait_p50_s'] * 1000:.1f} ms",
            f"{row['wait_p99_s'] * 1000:.1f} ms",
            "-" if row["commits"] is None else f"{row['commits']:.1f}",
            "-" if row["log_bytes"] is None else f"{row['log_bytes'] / 1000:.1f} kB",
        )
        print("  ".join(f"{cell:>11}" for cell in cells))
    print(json.dumps({**vars(asked), "rows": rows}))


def _queue(folder: Path, database: Database, environment: dict[str, str], count: int, jobs: int) -> dict[str, Any]:
    """Have so many workers make so many jobs."""
    folder.mkdir()
    with ExitStack() as stack:
        with database.reading() as session:
            before = session.scalar(select(func.max(Boot.id))) or 0
        for number in range(count):
            # A host of its own, as far as locks go.
            own = {"NIGHTSHIFT_DATA_DIR": str(folder / str(number)), "NIGHTSHIFT_DATABASE_URL": database.url}
            loader = {"CELERY_LOADER": "benchmarks.sleeping_worker:Loader", "PYTHONPATH": str(Path.cwd())}
            stack.enter_context(
                running(
                    sys.executable, "-m", "celery", "-A", "worker", "worker",
                    variables=environment | own | loader, log=folder / f"{number}.log",
                )
            )  # fmt: skip
        _wait(database, select(func.count()).where(Boot.id > before, Boot.ready_at.is_not(None)), count)
        figures = _of_server(database)
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
        after = _of_server(database)
        with database.reading() as session:
            rows = session.execute(
                select(Attempt.started_at, Attempt.finished_at, Attempt.gap_s).where(Attempt.batch_id == batch_id)
            ).all()
    per_job = [
        None if one is None or other is None else (other - one) / jobs
        for one, other in zip(figures, after, strict=True)
    ]
    percentiles = statistics.quantiles([row.gap_s for row in rows if row.gap_s is not None], n=100)
    took = max(row.finished_at for row in rows) - min(row.started_at for row in rows)
    return {
        "per_s": jobs / took.total_seconds(),
        "wait_p50_s": percentiles[49],
        "wait_p99_s": percentiles[98],
        "commits": per_job[0],
        "log_bytes": per_job[1],
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


def _of_server(database: Database) -> tuple[float | None, float | None]:
    """Return the commits and the bytes of log of a PostgreSQL so far; None of another database."""
    if not database.url.startswith("postgres"):
        return None, None
    with database.reading() as session:
        session.execute(text("SELECT pg_stat_clear_snapshot()"))
        commits = session.scalar(text("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"))
        written = session.scalar(text("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"))
    return float(commits), float(written)


def _wait(database: Database, count: Any, wanted: int) -> None:
    while True:
        with database.reading() as session:
            if (session.scalar(count) or 0) >= wanted:
                return
        time.sleep(_LOOK_S)


if __name__ == "__main__":
    main()
