"""What the waiting of torch's threads costs a picture on a CPU: `python -m benchmarks.threads`.

Each setting makes pictures of the demo in a process of its own, first on the machine as it is, then beside a program
that keeps every processor busy; all settings in turn, twice. Prints the median seconds a picture of each and its ratio
to the worker's own setting, and JSON last.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from worker.threads import WAITING

PICTURES = 8
ROUNDS = 2
#: Seconds after which no further picture is begun: some settings take many times longer than others.
ENOUGH_S = 12.0
#: OpenMP variables by the name under which the table shows them, the worker's own first.
SETTINGS: dict[str, dict[str, str]] = {
    "the worker's own": WAITING,
    "OpenMP's default": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "OMP_WAIT_POLICY=ACTIVE": {"OMP_WAIT_POLICY": "ACTIVE"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "GOMP_SPINCOUNT=100000": {"GOMP_SPINCOUNT": "100000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
OWN = next(iter(SETTINGS))
WHERE = ("alone", "beside a busy program")


def main() -> None:
    """Measure every setting and print the table."""
    seconds: dict[str, dict[str, list[float]]] = {where: defaultdict(list) for where in WHERE}
    for turn in range(1, ROUNDS + 1):
        for name, variables in SETTINGS.items():
            print(f"round {turn} of {ROUNDS}: {name}", file=sys.stderr, flush=True)
            for where, found in _measure(variables).items():
                seconds[where][name] += found
    medians = {where: {name: statistics.median(found) for name, found in seconds[where].items()} for where in WHERE}
    print(f"{'seconds a picture (ratio)':28}" + "".join(f"{where:>24}" for where in WHERE))
    for name in SETTINGS:
        figures = ((medians[where][name], medians[where][name] / medians[where][OWN]) for where in WHERE)
        print(f"{name:28}" + "".join(f"{f'{median:.3f} ({ratio:.2f})':>24}" for median, ratio in figures))
    print(json.dumps(medians))


def _measure(variables: dict[str, str]) -> dict[str, list[float]]:
    """Return the seconds of each picture, alone and beside a busy program."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.threads", "--child"],
        env=clean | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        found = {}
        for where, beside in zip(WHERE, (nullcontext(), _busy_program()), strict=True):
            with beside:
                child.stdin.write("\n")
                child.stdin.flush()
                found[where] = json.loads(child.stdout.readline())
        child.stdin.close()
    return found


def _serve() -> None:
    """Make pictures whenever a line comes, and print the seconds of each as JSON."""
    from models.checkpoints import checkpoint_defaults
    from models.job import JobSpec
    from models.settings import load_settings
    from worker.log import quiet_libraries

    quiet_libraries(load_settings())
    from worker.device import choose_device
    from worker.generation import generate
    from worker.loading import load_checkpoint
    from worker.local_checkpoint import find_checkpoint

    device = choose_device("cpu", "auto")
    loaded = load_checkpoint(find_checkpoint("demo"), device, load_settings())
    spec = JobSpec(prompt="a red shoe", seed=1, checkpoint="demo", **checkpoint_defaults("demo").model_dump())
    generate(loaded, device, spec, lambda _step: None)
    for _ in sys.stdin:
        seconds: list[float] = []
        while len(seconds) < PICTURES and sum(seconds) < ENOUGH_S:
            begun = time.perf_counter()
            generate(loaded, device, spec, lambda _step: None)
            seconds.append(time.perf_counter() - begun)
        print(json.dumps(seconds), flush=True)


@contextmanager
def _busy_program() -> Iterator[None]:
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["--child"]:
        _serve()
    else:
        main()
