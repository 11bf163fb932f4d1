"""How long commands take over a million attempts: `python -m benchmarks.report_million`.

Builds a database, runs the commands that read it as whole processes, in turn, and counts the rows that come into Python
for a report. Prints tables, and JSON last; the exit status is 1 where a median
is not below the limit.
"""

import argparse
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from sqlalchemy import Connection, insert, text
from sqlalchemy.orm import Session

from models.checkpoints import STABLE_DIFFUSION_1_5
from models.records.boots import Machine, record_boot, record_load
from models.records.database import Database
from models.records.tables import Attempt, Batch, Job
from models.types.clock import now
from models.types.identity import Knobs, Weights
from models.types.measurement import LoadMeasurement, MemoryReading
from producer.actions.reports.report import build_report

PRODUCER = Path(sysconfig.get_path("scripts"), "producer")
LIMIT_S = 2.0
BOOTS = 20
LOADS_PER_BOOT = 2
#: Two devices, so that the report has its hardware table to fill.
DEVICES = ("mps", "cpu")

_KIND = ("--scheduler", "DPM++ 2M Karras", "--checkpoint", STABLE_DIFFUSION_1_5)

# Each column is SQL over a row number n, because the database fills itself far faster than Python could. What looks
# random is a product of n and a prime, so that every run measures the same rows.
_MOMENT = "strftime('%Y-%m-%d %H:%M:%S', 1760000000 + 9 * n + {offset}, 'unixepoch') || '.123456'"
_NOISE = "((n * 7919) % 100003 / 100003.0)"
# Of a thousand jobs, five fail; of a thousand attempts, three are lost.
_STATE = "CASE WHEN n % 200 = 7 THEN 'failed' ELSE 'succeeded' END"
_OUTCOME = f"CASE WHEN n % 333 = 5 THEN 'lost' ELSE {_STATE} END"
JOBS = {
    "id": "n",
    "batch_id": "1 + (n - 1) * :batches / :rows",
    "source_line": "n",
    "prompt": "'red casual shoes on a wooden floor, studio light, product photo, number ' || n",
    "negative_prompt": "'blurred, text, watermark'",
    "seed": "n",
    "steps": "25",
    "guidance": "7.5",
    "width": "512",
    "height": "512",
    "scheduler": "'DPM++ 2M Karras'",
    "checkpoint": f"'{STABLE_DIFFUSION_1_5}'",
    "priority": "5",
    "state": _STATE,
    "attempts": "1",
    "queued_at": _MOMENT.format(offset=-60),
    "published_at": _MOMENT.format(offset=-59),
    "boot_id": "1 + (n - 1) * :boots / :rows",
    "heartbeat_at": _MOMENT.format(offset=5),
    "cancel_requested": "0",
    "finished_at": _MOMENT.format(offset=8),
    "cause": "CASE WHEN n % 200 = 7 THEN 'not_finite' END",
    "error": "CASE WHEN n % 200 = 7 THEN 'the picture holds values that are no numbers' END",
    "picture": "printf('pictures/batch-%04d/job-%08d.png', 1, n)",
}
_MADE = f"CASE WHEN {_OUTCOME} = 'succeeded' THEN {{value}} END"
ATTEMPTS = {
    "id": "n",
    "job_id": "n",
    "batch_id": JOBS["batch_id"],
    "boot_id": JOBS["boot_id"],
    "load_id": _MADE.format(value="1 + (n - 1) * :loads / :rows"),
    "number": "1",
    "outcome": _OUTCOME,
    "cause": JOBS["cause"],
    "error": JOBS["error"],
    "started_at": _MOMENT.format(offset=0),
    "finished_at": _MOMENT.format(offset=8),
    "started_s": "10.0 * n",
    "finished_s": "10.0 * n + 8.0",
    "first_of_boot": "n % (:rows / :boots) = 1",
    "cold": "n % 5000 = 1",
    "queue_wait_s": f"60.0 + {_NOISE}",
    "gap_s": _MADE.format(value=f"0.002 * {_NOISE}"),
    "encode_s": _MADE.format(value=f"0.05 + 0.01 * {_NOISE}"),
    "denoise_s": _MADE.format(value=f"7.5 + {_NOISE}"),
    "decode_s": _MADE.format(value=f"0.6 + 0.1 * {_NOISE}"),
    "validate_s": _MADE.format(value="0.003"),
    "save_s": _MADE.format(value="0.12"),
    "total_s": _MADE.format(value=f"8.3 + 1.1 * {_NOISE}"),
    "steps_per_s": _MADE.format(value=f"25 / (7.5 + {_NOISE})"),
    "made_again": "0",
    "decoded_again": "0",
    "prompt_tokens": "14",
    "picture_bytes": _MADE.format(value="400000 + n % 1000"),
} | {
    f"{kind}_{moment}_bytes": _MADE.format(value=f"{size} + n % 100000")
    for kind, size in (("rss", 3_000_000_000), ("device_allocated", 2_000_000_000), ("device_driver", 4_000_000_000),
                       ("available", 9_000_000_000), ("swap", 1_000_000))
    for moment in ("before", "lowest" if kind == "available" else "peak", "after")
}  # fmt: skip


def main() -> int:
    """Build, measure, print; return the exit status."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--attempts", type=int, default=1_000_000)
    options.add_argument("--batches", type=int, default=4)
    options.add_argument("--runs", type=int, default=7)
    asked = options.parse_args()
    reports = {"report --all": None, "report BATCH": "night-1"}
    commands = {name: ("report", batch or "--all") for name, batch in reports.items()} | {
        "status": ("status",),
        "status BATCH": ("status", "night-1"),
        "watch BATCH": ("watch", "night-1"),
        "enqueue --dry-run": ("enqueue", "--dry-run", "--prompt", "a shoe", *_KIND),
        "estimate": ("estimate", "--images", "3000", *_KIND),
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory(prefix="nightshift-benchmark-") as folder:
        url = f"sqlite:///{Path(folder, 'nightshift.db')}"
        begun = time.perf_counter()
        build(url, asked.attempts, asked.batches)
        megabytes = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
        built = f"{megabytes:,.0f} MB, made in {time.perf_counter() - begun:.0f} s"
        # In turn, so that a slow minute of the machine falls on all of them.
        for _ in range(asked.runs):
            for name, arguments in commands.items():
                begun = time.perf_counter()
                run(url, *arguments)
                times[name].append(time.perf_counter() - begun)
        read = {name: count_rows(url, batch) for name, batch in reports.items()}
        printed = {name: len(run(url, *commands[name]).splitlines()) for name in reports}
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{asked.attempts:,} attempts, {asked.batches} batches, {BOOTS * LOADS_PER_BOOT} loads; {built}")
    print(f"\n{'producer':20}{'median':>10}{'fastest':>10}{'slowest':>10}{'of limit':>10}")
    for name, values in times.items():
        share = medians[name] / LIMIT_S
        print(f"{name:20}{medians[name]:8.2f} s{min(values):8.2f} s{max(values):8.2f} s{share:10.0%}")
    print(f"\n{'':20}{'rows read':>10}{'lines':>10}{'rows a line':>14}{'attempts a row':>16}")
    for name, rows in read.items():
        lines = printed[name]
        print(f"{name:20}{rows:10,}{lines:10,}{rows / lines:14.2f}{asked.attempts / rows:16,.0f}")
    within = max(medians.values()) < LIMIT_S
    result = {"attempts": asked.attempts, "limit_s": LIMIT_S, "within_limit": within, "median_s": medians}
    print(json.dumps(result | {"seconds": times, "rows_read": read, "lines_printed": printed}))
    return 0 if within else 1


def build(url: str, attempts: int, batches: int) -> None:
    """Fill an empty database with so many attempts, each of a job of its own."""
    database = Database(url)
    numbers = {"rows": attempts, "batches": batches, "boots": BOOTS, "loads": BOOTS * LOADS_PER_BOOT}
    named = [{"uid": f"{n:032x}", "name": f"night-{n}", "fingerprint": f"{n:064x}"} for n in range(1, batches + 1)]
    with database.writing() as session:
        for number in range(BOOTS):
            _add_boot(session, DEVICES[number * len(DEVICES) // BOOTS])
        session.execute(insert(Batch), [row | {"source": "shoes.txt", "created_at": now()} for row in named])
        _fill(session.connection(), Job.__tablename__, JOBS, numbers)
        _fill(session.connection(), Attempt.__tablename__, ATTEMPTS, numbers)
    database.close()


def _add_boot(session: Session, device: str) -> None:
    machine = Machine(
        socket.gethostname(), 1, "lock", device, f"the {device}", "M1 Pro", 8, "float16", 2**34, {"torch": "2.13.0"}, {}
    )
    memory = MemoryReading(rss=10**9, available=9 * 10**9)
    boot_id = record_boot(session, machine)
    load = LoadMeasurement(
        weights=Weights(STABLE_DIFFUSION_1_5),
        revision="0" * 40,
        knobs=Knobs(attention_slicing=False),
        load_s=9.0,
        warmup_s=3.0,
        warmup_steps=2,
        before=memory,
        after=memory,
    )
    for _ in range(LOADS_PER_BOOT):
        record_load(session, boot_id, load)


def _fill(connection: Connection, table: str, columns: dict[str, str], numbers: dict[str, int]) -> None:
    counting = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)"
    names, values = ", ".join(columns), ", ".join(columns.values())
    connection.execute(text(f"{counting} INSERT INTO {table} ({names}) SELECT {values} FROM numbers"), numbers)


def run(url: str, *arguments: str) -> str:
    """Run `producer` to its end and return what it printed."""
    environment = os.environ | {"NIGHTSHIFT_DATABASE_URL": url}
    done = subprocess.run([str(PRODUCER), *arguments], env=environment, stdout=subprocess.PIPE, text=True, check=False)
    # Some jobs of the batch failed, which is status 1 of `watch`.
    assert done.returncode in (0, 1)
    return done.stdout


def count_rows(url: str, batch: str | None) -> int:
    """Return how many rows SQLite hands to Python for one report."""
    rows: list[None] = []

    def pass_on(_cursor: sqlite3.Cursor, row: tuple[object, ...]) -> tuple[object, ...]:
        rows.append(None)
        return row

    database = Database(url)
    with database.reading() as session:
        connection = session.connection().connection.driver_connection
        assert isinstance(connection, sqlite3.Connection)
        connection.row_factory = pass_on
        build_report(session, batch, everything=batch is None)
    database.close()
    return len(rows)


if __name__ == "__main__":
    sys.exit(main())
