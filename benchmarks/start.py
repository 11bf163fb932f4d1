"""How long programs take to start: `python -m benchmarks.start`.

`producer --help` and `producer status` as whole processes, and a worker from its start until it is ready for jobs,
with what loading the demo and its warm-up took of that apart. In turn with it, a script that only imports the pipeline,
as every program has to that makes pictures. Prints a table, and JSON last.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil
from sqlalchemy import select

from benchmarks.sides import queue
from models.records.tables import Boot, Load

_TIMES = 5


def main() -> None:
    """Measure and print."""
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        with queue(Path(folder, "status"), worker=False) as side:
            for _ in range(_TIMES + 1):
                for command in ("--help", "status"):
                    begun = time.perf_counter()
                    side.producer(command)
                    seconds.setdefault(f"producer {command}", []).append(time.perf_counter() - begun)
        for number in range(_TIMES + 1):
            with queue(Path(folder, str(number)), worker=True) as side:
                started = datetime.fromtimestamp(psutil.Process(side.worker_pid).create_time(), UTC)
                ready_at, loading = side.wait_until(
                    lambda session: session.execute(
                        select(Boot.ready_at, Load.load_s + Load.warmup_s).join(Load)
                    ).first()
                )
            assert ready_at is not None
            whole = (ready_at - started).total_seconds()
            seconds.setdefault("worker, until it is ready", []).append(whole)
            seconds.setdefault("worker, without loading and warm-up", []).append(whole - loading)
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", "from diffusers import StableDiffusionPipeline"], check=True)
            seconds.setdefault("a script that imports the pipeline", []).append(time.perf_counter() - begun)
    # The first of each brings the files into memory.
    taken = {name: values[1:] for name, values in seconds.items()}
    print(f"{'':40}{'median':>10}{'fastest':>10}{'slowest':>10}")
    for name, values in taken.items():
        print(f"{name:40}{statistics.median(values):8.2f} s{min(values):8.2f} s{max(values):8.2f} s")
    print(json.dumps({name: statistics.median(values) for name, values in taken.items()} | {"seconds": taken}))


if __name__ == "__main__":
    main()
