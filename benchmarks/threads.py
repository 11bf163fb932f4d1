"""What the threads of a picture on a CPU cost, alone and beside other programs: `python -m benchmarks.threads`.

Each setting has a process of its own that makes pictures of the demo, all of them in turn, a picture each: first on the
machine as it is, then beside a program that keeps one processor busy, then beside one for each processor. They load
where they then make pictures, as a worker does. `--stable-diffusion` takes the architecture of Stable Diffusion 1.5
with random weights, at 256x256 and two steps, and the settings that matter: some 20 GB of memory and half an hour.
Prints the median seconds a picture of each setting and how many times those of the best it takes, and JSON last.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from benchmarks.random_weights import make_stable_diffusion

PICTURES = 15
#: Seconds after which no further round is begun: beside others some settings take many times longer than alone.
ENOUGH_S = 75.0
#: OpenMP variables by the name under which the table shows them; nothing set is what the worker itself does.
SETTINGS: dict[str, dict[str, str]] = {
    "the worker's own": {},
    "OpenMP's default": {"OMP_DYNAMIC": "false"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "GOMP_SPINCOUNT=100000": {"GOMP_SPINCOUNT": "100000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
#: Those of them for pictures that take twenty seconds, and the pictures of each.
FEW_SETTINGS = ("the worker's own", "OpenMP's default", "OMP_WAIT_POLICY=PASSIVE", "one thread")
FEW_PICTURES = 2
PROCESSORS = os.cpu_count() or 1
#: How many busy programs there are beside it, by what the table calls that.
BESIDE = {"alone": 0, "beside a busy program": 1, f"beside {PROCESSORS} busy programs": PROCESSORS}


def main() -> None:
    """Measure every setting and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--stable-diffusion", action="store_true", help="the architecture of 1.5, not the demo")
    large = parser.parse_args().stable_diffusion
    settings = {name: SETTINGS[name] for name in (FEW_SETTINGS if large else SETTINGS)}
    medians = {}
    with tempfile.TemporaryDirectory() as folder:
        if large:
            print("making random weights …", file=sys.stderr, flush=True)
            make_stable_diffusion(Path(folder))
        for where, count in BESIDE.items():
            print(f"{where} …", file=sys.stderr, flush=True)
            with _busy_programs(count):
                found = _measure(settings, folder if large else None)
            medians[where] = {name: statistics.median(seconds) for name, seconds in found.items()}
            print(json.dumps(medians[where]), file=sys.stderr, flush=True)
    print(f"{'seconds a picture (to the best)':32}" + "".join(f"{where:>26}" for where in BESIDE))
    for name in settings:
        figures = ((medians[where][name], medians[where][name] / min(medians[where].values())) for where in BESIDE)
        print(f"{name:32}" + "".join(f"{f'{median:.3f} ({ratio:.2f})':>26}" for median, ratio in figures))
    print(json.dumps(medians))


def _measure(settings: Mapping[str, Mapping[str, str]], checkpoint: str | None) -> dict[str, list[float]]:
    """Return the seconds of each picture by setting; of the demo where no checkpoint is named."""
    pictures = PICTURES if checkpoint is None else FEW_PICTURES
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    seconds: dict[str, list[float]] = {name: [] for name in settings}
    with ExitStack() as children:
        pipes: dict[str, tuple[IO[str], IO[str]]] = {}
        for name, variables in settings.items():
            child = children.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.threads", "--child", checkpoint or ""],
                    env={**clean, **variables},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
            assert child.stdin is not None
            assert child.stdout is not None
            pipes[name] = child.stdin, child.stdout
            # One after the other: a child that loads is a busy program to those that make pictures.
            child.stdout.readline()
        begun = time.monotonic()
        while len(seconds[name]) < pictures and (checkpoint or time.monotonic() - begun < ENOUGH_S):
            for name, (to, back) in pipes.items():
                print(file=to, flush=True)
                seconds[name].append(float(back.readline()))
        for to, _ in pipes.values():
            to.close()
    return seconds


def _serve(checkpoint: str) -> None:
    """Load as a worker does, then make a picture whenever a line comes and print its seconds."""
    from models.checkpoints import checkpoint_defaults
    from models.settings import load_settings
    from models.types.job import JobSpec
    from worker.program import PROCESSORS  # isort: skip - it makes ready for torch, so it comes first
    from worker.engine.checkpoints.local_checkpoint import find_checkpoint
    from worker.engine.devices.registry import choose_device
    from worker.engine.loading import load_checkpoint
    from worker.engine.making.generation import generate
    from worker.engine.threads import leave_processors_to_others

    leave_processors_to_others(PROCESSORS)
    device = choose_device("cpu", "auto")
    loaded = load_checkpoint(find_checkpoint(checkpoint or "demo"), device, load_settings())
    usual = checkpoint_defaults(checkpoint or "demo").model_dump()
    if checkpoint:
        usual |= {"width": 256, "height": 256, "steps": 2, "scheduler": "DDIM"}
    spec = JobSpec(prompt="a red shoe", seed=1, checkpoint=checkpoint or "demo", **usual)
    generate(loaded, device, spec, lambda _step: None)
    print("ready", flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        generate(loaded, device, spec, lambda _step: None)
        print(time.perf_counter() - begun, flush=True)


@contextmanager
def _busy_programs(count: int) -> Iterator[None]:
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _serve(sys.argv[2])
    else:
        main()
