"""Pictures a second through queue, worker, database and disk, against a plain loop: `python -m benchmarks.plain_loop`.

The plain loop is what a person writes without a queue: load the pipeline, one picture a call, save the PNG, next. Both
sides make the same pictures of the demo with the same settings, in turn; each turn's seconds are those from the start
of its first picture to the end of its last. The queue makes as many a call as are fastest, which `producer tune` finds
out before; `--a-call 1` has it make one, as the loop does. `--beside 1` keeps a processor busy with another program all
the while, and `--run` takes `producer run` with its bar on a terminal in place of a worker. `--preset fast` is the
queue's alone, against a loop of 25 steps of PNDM; `--stable-diffusion` takes its architecture in place of the demo.
Prints the rounds, the ratio with its spread, and JSON last.
"""

import argparse
import json
import os
import pty
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.random_weights import make_stable_diffusion
from benchmarks.sides import PRODUCER, PROMPT, database_of, queue, running, seconds_of_newest
from models.checkpoints import DEMO, CheckpointDefaults, checkpoint_defaults, local_path
from models.types.presets import EXACT, PRESETS
from models.types.schedulers import SCHEDULERS
from worker.engine.processors import set_waiting


@dataclass(frozen=True)
class Work:
    """What both sides make, and by what preset the queue makes it."""

    checkpoint: str
    options: CheckpointDefaults
    preset: str

    def flags(self) -> list[str]:
        """Return what `producer` is asked."""
        settled = set(PRESETS[self.preset].settles)
        options = {name: value for name, value in self.options.model_dump().items() if name not in settled}
        asked = {"checkpoint": self.checkpoint, "preset": self.preset, **options}
        return [text for name, value in asked.items() for text in (f"--{name}", str(value))]


def of_demo(preset: str = EXACT) -> Work:
    """Return what the demo makes by itself; by another preset than `exact`, what jobs of Stable Diffusion 1.5 take."""
    own = checkpoint_defaults(DEMO)
    return Work(DEMO, own if preset == EXACT else CheckpointDefaults(width=own.width, height=own.height), preset)


def main() -> None:
    """Measure both sides and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--pictures", type=int, default=10, help="pictures a turn")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--beside", type=int, default=0, help="programs that keep a processor busy each")
    parser.add_argument("--run", action="store_true", help="`producer run` instead of `celery -A worker worker`")
    parser.add_argument("--a-call", type=int, default=0, help="pictures a call of the queue; 0: as many as are fastest")
    parser.add_argument("--preset", default=EXACT, help="of the queue; the loop makes 25 steps of PNDM then")
    parser.add_argument(
        "--stable-diffusion", action="store_true", help="its architecture with random weights at 256x256, not the demo"
    )
    asked = parser.parse_args()
    os.environ["NIGHTSHIFT_PICTURES_A_CALL"] = str(asked.a_call)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work = _work(folder, asked.preset, stable_diffusion=asked.stable_diffusion)
        for _ in range(asked.beside):
            stack.enter_context(running(sys.executable, "-c", "while True: pass"))
        plain = stack.enter_context(plain_loop(folder / "plain", work))
        queued: Callable[[int], float]
        if asked.run:
            queued = partial(_run, folder / "queued", work)
        else:
            # A worker finds it out itself, with pictures of a batch of some thousand.
            tune = () if asked.a_call else ("tune", *work.flags())
            made = stack.enter_context(queue(folder / "queued", worker=True, first=tune))
            queued = partial(made.make, more=work.flags())
        # The first turn of each is a warm-up.
        rounds = [(plain(asked.pictures), queued(asked.pictures)) for _ in range(asked.rounds + 1)][1:]
    ratios = [by_loop / by_queue for by_loop, by_queue in rounds]
    print(f"{'round':8}{'plain loop':>16}{'queue':>16}{'queue / loop':>16}")
    for number, ((by_loop, by_queue), ratio) in enumerate(zip(rounds, ratios, strict=True), start=1):
        print(f"{number:<8}{1 / by_loop:12.2f} /s {1 / by_queue:12.2f} /s {ratio:15.3f}")
    median = statistics.median(ratios)
    print(f"pictures a second, queue against plain loop: {median:.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    print(json.dumps({**vars(asked), "ratio": median, "ratios": ratios, "seconds_a_picture": rounds}))


def _work(folder: Path, preset: str, *, stable_diffusion: bool) -> Work:
    if not stable_diffusion:
        return of_demo(preset)
    checkpoint = folder / "stable-diffusion"
    make_stable_diffusion(checkpoint, half=True)
    os.environ["NIGHTSHIFT_CHECKPOINT_FOLDERS"] = str(checkpoint)
    return Work(str(checkpoint), CheckpointDefaults(width=256, height=256), preset)


@contextmanager
def plain_loop(folder: Path, work: Work) -> Iterator[Callable[[int], float]]:
    """Give a function that makes so many pictures in the loop and returns the seconds of one."""
    folder.mkdir()
    what = [work.checkpoint, work.options.model_dump_json()]
    command = [sys.executable, "-m", "benchmarks.plain_loop", "--loop", str(folder), *what]
    with running(*command) as child:
        to, back = child.stdin, child.stdout
        assert to is not None
        assert back is not None
        back.readline()

        def make(count: int) -> float:
            for file in folder.iterdir():
                file.unlink()
            begun = time.time()
            print(count, file=to, flush=True)
            back.readline()
            return (max(file.stat().st_mtime for file in folder.iterdir()) - begun) / count

        yield make


def _run(folder: Path, work: Work, count: int) -> float:
    """Have `producer run` make so many pictures, its bar on a terminal of its own, and return the seconds of one."""
    shutil.rmtree(folder, ignore_errors=True)
    variables = {"NIGHTSHIFT_DATA_DIR": str(folder), "NIGHTSHIFT_DEVICE": "cpu", "NIGHTSHIFT_CHECKPOINT": "demo"}
    command = [str(PRODUCER), "run", "--prompt", PROMPT, "--count", str(count), "--seed", "1", *work.flags()]
    ours, terminal = pty.openpty()
    process = subprocess.Popen(
        command,
        env={**os.environ, **variables, "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    # A terminal whose other end is closed reads as an error.
    with suppress(OSError):
        while os.read(ours, 65536):
            pass
    os.close(ours)
    if process.wait() != 0:
        raise SystemExit(f"producer run ended with status {process.returncode}")
    with database_of(folder).reading() as session:
        seconds = seconds_of_newest(session)
    assert seconds is not None
    return seconds


def _loop(folder: Path, checkpoint: str, options: CheckpointDefaults) -> None:
    """Make as many pictures as a line says, whenever one comes."""
    # As the worker's threads wait, so that the two sides differ in the queue alone.
    set_waiting()
    import diffusers
    import torch

    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        local_path(checkpoint), safety_checker=None, local_files_only=True, torch_dtype=torch.float32
    )
    scheduler = SCHEDULERS[options.scheduler]
    made_by = getattr(diffusers, scheduler.diffusers_class)
    pipeline.scheduler = made_by.from_config(pipeline.scheduler.config, **scheduler.options)
    pipeline.set_progress_bar_config(disable=True)
    print("ready", flush=True)
    for line in sys.stdin:
        for number in range(int(line)):
            pipeline(
                PROMPT,
                num_inference_steps=options.steps,
                guidance_scale=options.guidance,
                width=options.width,
                height=options.height,
                generator=torch.Generator("cpu").manual_seed(number),
            ).images[0].save(folder / f"{number:04d}.png")
        print("done", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--loop"]:
        _folder, _checkpoint, _options = sys.argv[2:]
        _loop(Path(_folder), _checkpoint, CheckpointDefaults.model_validate_json(_options))
    else:
        main()
