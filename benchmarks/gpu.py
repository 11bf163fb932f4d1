"""How a machine with a card does, in one run of bounded time: `python -m benchmarks.gpu FOLDER`.

The most telling parts first: `doctor --device`; pictures of the demo, each judged; the worker killed twice; and then
Stable Diffusion 1.5's architecture with random weights in half precision: a plain loop of one picture a call and
`producer run` in turn, `producer tune` between the first two rounds, the preset `fast`, plain loops of more pictures a
call, `producer bench`, and steps of a training. Each is told of as it ends, and one that fails or has no time left does
not end the others. FOLDER has then `results.json` and what the parts wrote. Needs no network. `--checkpoint demo
--size 128 --steps 2 --pictures 4` tries the run itself, on any machine.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from PIL import Image

from benchmarks.sides import PRODUCER, database_of, seconds_of_newest
from models.checkpoints import DEMO
from models.settings import load_settings
from worker.log import quiet_libraries

COLOURS = ("black", "white", "grey", "brown", "tan", "red", "orange", "yellow", "green", "blue", "navy", "pink")
KINDS = ("casual shoe", "high-top", "loafer", "boot")
#: Below this no part is begun.
_FEWEST_S = 10.0
_LINES = 12


@dataclass
class Part:
    """What came of one part."""

    name: str
    #: Of its program; None where it was not begun, or had no time to end.
    status: int | None
    seconds: float
    #: The end of what it said.
    said: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)


class Run:
    """Runs the parts, until the time is over."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.parts: list[Part] = []
        self._until = time.monotonic() + seconds

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return self._until - time.monotonic()

    def data_dir(self, name: str) -> dict[str, str]:
        """Return the variables of a data folder of its own."""
        return {"NIGHTSHIFT_DATA_DIR": str(self.folder / "data" / name)}

    def part(self, name: str, command: Sequence[str], variables: Mapping[str, str]) -> Part:
        """Run a program as a part, and tell of it."""
        begun, part = time.monotonic(), Part(name, None, 0.0)
        if self.left_s > _FEWEST_S:
            try:
                done = subprocess.run(
                    command,
                    env={**os.environ, **variables},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    timeout=self.left_s,
                    text=True,
                    check=False,
                )
                part = Part(name, done.returncode, time.monotonic() - begun, done.stdout.splitlines()[-_LINES:])
            except subprocess.TimeoutExpired:
                part = Part(name, None, time.monotonic() - begun, ["no time left"])
        self.add(part)
        return part

    def add(self, part: Part) -> None:
        """Tell of a part, and keep it."""
        self.parts.append(part)
        print(f"== {part.name}: status {part.status}, {part.seconds:.0f} s", *part.said, sep="\n   ", flush=True)
        for name, figure in part.figures.items():
            print(f"   {name}: {figure:.3f}", flush=True)
        (self.folder / "results.json").write_text(json.dumps([asdict(one) for one in self.parts], indent=1))


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("folder", type=Path, help="for what is measured")
    parser.add_argument("--seconds", type=float, default=560, help="for all of it")
    parser.add_argument("--checkpoint", help="instead of random weights of Stable Diffusion 1.5's size")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=2, help="of plain loop and `producer run`, in turn")
    parser.add_argument("--a-call", type=int, nargs="*", default=[4, 8, 16], help="of further plain loops")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    run = Run(asked.folder, asked.seconds)
    prompts = asked.folder / "prompts.txt"
    lines = [f"a {COLOURS[i % len(COLOURS)]} {KINDS[i // len(COLOURS) % len(KINDS)]}" for i in range(asked.pictures)]
    prompts.write_text("\n".join(lines) + "\n")
    demo = ["run", "--prompts", str(prompts), "--checkpoint", DEMO]
    run.part("doctor", [str(PRODUCER), "doctor", "--device", "--checkpoint", DEMO], run.data_dir("doctor"))
    run.part("demo, each judged", [str(PRODUCER), *demo, "--checks", "product"], run.data_dir("demo"))
    run.part("sheet", [str(PRODUCER), "grid", "--output", str(asked.folder / "demo.png")], run.data_dir("demo"))
    run.add(_killed_twice(run, demo, asked.pictures))
    checkpoint = asked.checkpoint or str(asked.folder / "sd15")
    if asked.checkpoint is None:
        run.part("random weights", [sys.executable, "-m", "benchmarks.random_weights", checkpoint, "--half"], {})
    _compare(run, checkpoint, asked)
    bench = [str(PRODUCER), "bench", str(asked.folder / "bench.json"), "--checkpoint", checkpoint, "--pictures", "3"]
    run.part("bench", [*bench, *_size(asked)], run.data_dir("bench"))
    _train(run, checkpoint, asked)
    sys.exit(any(part.status for part in run.parts))


def _size(asked: argparse.Namespace) -> list[str]:
    return ["--width", str(asked.size), "--height", str(asked.size), "--steps", str(asked.steps)]


def _compare(run: Run, checkpoint: str, asked: argparse.Namespace) -> None:
    """Plain loops against `producer run`: as far as its first round finds out what is fastest, and then all of it."""
    ours = ["run", "--prompts", str(run.folder / "prompts.txt"), "--checkpoint", checkpoint, "--new", *_size(asked)]
    variables = run.data_dir("full") | {"NIGHTSHIFT_CHECKPOINT": checkpoint}
    for number in range(1, asked.rounds + 1):
        plain = _loop(run, f"plain loop, round {number}", checkpoint, asked, 1)
        made = run.part(f"producer run, round {number}", [str(PRODUCER), *ours], variables)
        seconds = _seconds_of_newest(run)
        if plain is not None and seconds is not None and made.status == 0:
            run.add(Part(f"round {number}", 0, 0.0, [], {"producer run / plain loop": plain / seconds}))
        if number == 1:
            run.part("tune", [str(PRODUCER), "tune", "--checkpoint", checkpoint, *_size(asked)], variables)
    run.part("fast", [str(PRODUCER), *ours[:-2], "--preset", "fast"], variables)
    for a_call in asked.a_call:
        _loop(run, f"plain loop, {a_call} a call", checkpoint, asked, a_call)


def _train(run: Run, checkpoint: str, asked: argparse.Namespace) -> None:
    """Steps of a training as `producer train` tells of them, and against a plain loop."""
    data = run.folder / "to-learn"
    data.mkdir()
    for number in range(4):
        Image.effect_noise((asked.size, asked.size), 50).convert("RGB").save(data / f"{number}.png")
        (data / f"{number}.txt").write_text(f"a {COLOURS[number]} {KINDS[number]}")
    tried = ["train", "tried", "--data", str(data), "--model-id", checkpoint, "--resolution", str(asked.size)]
    run.part("training, tried", [str(PRODUCER), *tried, "--dry-run", "--trial"], run.data_dir("training"))
    steps = ["--checkpoint", checkpoint, "--resolution", str(asked.size), "--steps", "4"]
    run.part("training, against a plain loop", [sys.executable, "-m", "benchmarks.training", *steps], {})


def _loop(run: Run, name: str, checkpoint: str, asked: argparse.Namespace, a_call: int) -> float | None:
    """Run a plain loop and return its seconds a picture."""
    prompts = str(run.folder / "prompts.txt")
    numbers = (str(number) for number in (asked.size, asked.steps, a_call))
    made = run.part(name, [sys.executable, "-m", "benchmarks.gpu", "--loop", checkpoint, prompts, *numbers], {})
    seconds = json.loads(made.said[-1])["seconds_a_picture"] if made.status == 0 else None
    return None if seconds is None else float(seconds)


def _seconds_of_newest(run: Run) -> float | None:
    database = database_of(run.folder / "data" / "full")
    try:
        with database.reading() as session:
            return seconds_of_newest(session)
    finally:
        database.close()


def _killed_twice(run: Run, command: Sequence[str], count: int) -> Part:
    """Kill the worker of `producer run` at a quarter and at two thirds of the pictures: all are there in the end."""
    begun, variables = time.monotonic(), run.data_dir("killed")
    data_dir = Path(variables["NIGHTSHIFT_DATA_DIR"])
    pictures = data_dir / "pictures"
    killed: list[int | None] = [None]
    if run.left_s < _FEWEST_S:
        return Part("killed twice", None, 0.0, ["no time left"])
    with subprocess.Popen(
        [str(PRODUCER), *command], env={**os.environ, **variables}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        for at in (count // 4, 2 * count // 3):
            worker = None
            while process.poll() is None and run.left_s > 0 and worker in killed:
                time.sleep(0.05)
                worker = _worker_of(data_dir) if len(list(pictures.rglob("*.png"))) >= at else None
            if worker is not None and process.poll() is None:
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
                killed.append(worker)
        try:
            status = process.wait(max(0.0, run.left_s))
        except subprocess.TimeoutExpired:
            process.kill()
            return Part("killed twice", None, time.monotonic() - begun, ["no time left"])
    there = len(list(pictures.rglob("*.png")))
    return Part("killed twice", status, time.monotonic() - begun, [f"{there} of {count} pictures"])


def _worker_of(data_dir: Path) -> int | None:
    """Return the number of the process that `producer run` has noted as its worker, None while there is none."""
    with suppress(OSError, ValueError):
        return int(json.loads((data_dir / "run" / "worker.pid").read_text())["pid"])
    return None


def _make_in_a_loop(checkpoint: str, prompts: str, size: int, steps: int, a_call: int) -> None:
    """Make a picture of each prompt as a person would without a queue, and print the seconds of one."""
    quiet_libraries(load_settings())
    import torch
    from diffusers import StableDiffusionPipeline

    from worker.engine.checkpoints.local_checkpoint import find_checkpoint

    is_cuda = torch.cuda.is_available()
    pipeline = StableDiffusionPipeline.from_pretrained(
        find_checkpoint(checkpoint).path, dtype=torch.float16 if is_cuda else torch.float32, safety_checker=None
    )
    pipeline.to("cuda" if is_cuda else "cpu").set_progress_bar_config(disable=True)
    texts, begun, made = Path(prompts).read_text().splitlines(), 0.0, 0
    for first in range(0, len(texts), a_call):
        numbers = range(first, min(first + a_call, len(texts)))
        images = pipeline(
            [texts[number] for number in numbers],
            num_inference_steps=steps,
            width=size,
            height=size,
            generator=[torch.Generator("cpu").manual_seed(number) for number in numbers],
        ).images
        for image in images:
            image.save(Path(prompts).with_name("loop.png"))
        # The first call allocates, and is not of the pace.
        made += len(images) if begun else 0
        begun = begun or time.monotonic()
    seconds = (time.monotonic() - begun) / made if made else None
    peak = torch.cuda.max_memory_allocated() if is_cuda else None
    print(json.dumps({"seconds_a_picture": seconds, "a_call": a_call, "peak_bytes": peak}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--loop"]:
        _make_in_a_loop(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
    else:
        main()
