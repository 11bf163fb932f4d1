"""How often the range of an estimate holds what it says: `python -m benchmarks.estimate_range`.

Goes through a run of pictures of the demo, in which other programs come and go, and estimates again and again from the
pictures so far how long the next ones take; then through a quiet one. So it does with trainings, the seconds of a
picture taken for those of a step. Reads recorded runs, unless `--live` makes new ones, which takes minutes; `--save`
keeps these in their place. Prints for each how often the range held the sum, and how wide it was against that, and JSON
last.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

from models.figures.estimates import Sample, estimate

RECORDED = Path(__file__).parent / "recorded"
#: Pictures that an estimate is made from, and those that it is about.
SPANS = ((5, 50), (9, 50), (50, 50), (100, 100), (300, 100))
#: Steps of a segment; and segments that an estimate is made from, and those that it is about.
SEGMENT_STEPS, SEGMENT_SPANS = 25, ((3, 10), (5, 10), (9, 10), (15, 10))
#: Seconds that a program stays, and that it stays away.
STAYS_S, AWAY_S = (5.0, 60.0), (5.0, 60.0)
PROGRAMS = 2


def main() -> None:
    """Read or make the runs, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--live", action="store_true", help="make new runs")
    parser.add_argument("--save", action="store_true", help="and keep them as the recorded ones")
    parser.add_argument("--pictures", type=int, default=2_000, help="pictures of a new run; of the quiet one half")
    asked = parser.parse_args()
    result = {}
    for name, programs in (("coming and going", PROGRAMS), ("quiet", 0)):
        file = RECORDED / f"{name.replace(' ', '-')}.json"
        times = (
            make(asked.pictures if programs else asked.pictures // 2, programs)
            if asked.live
            else json.loads(file.read_text())
        )
        if asked.live and asked.save:
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps([round(seconds, 4) for seconds in times]) + "\n")
        print(f"{name}: {len(times):,} pictures, {min(times):.3f} to {max(times):.3f} s")
        starts = range(0, len(times) - SEGMENT_STEPS + 1, SEGMENT_STEPS)
        segments = [sum(times[start : start + SEGMENT_STEPS]) for start in starts]
        for what, values, spans in (("pictures", times, SPANS), ("segments", segments, SEGMENT_SPANS)):
            for seen, following in spans:
                if len(values) < seen + following:
                    print(f"  {seen:4} {what} on the next {following}: not measured, the run is too short")
                    continue
                # There are few segments, so each begins a span.
                held, of, width = measure(values, seen, following, following if what == "pictures" else 1)
                print(f"  {seen:4} {what} on the next {following}: held {held} of {of}, {width:.0%} wide")
                result[f"{name}, {seen} {what} on {following}"] = {"held": held, "of": of, "width": width}
    print(json.dumps(result))


def measure(times: list[float], seen: int, pictures: int, apart: int) -> tuple[int, int, float]:
    """Return how many ranges held, of how many so far apart, and their median width against the sum."""
    held, widths = 0, []
    for start in range(0, len(times) - seen - pictures + 1, apart):
        found = estimate(Sample(times[start : start + seen]), pictures)
        assert found.low_s is not None
        assert found.high_s is not None
        following = sum(times[start + seen : start + seen + pictures])
        held += found.low_s <= following <= found.high_s
        widths.append((found.high_s - found.low_s) / following)
    return held, len(widths), statistics.median(widths)


def make(count: int, programs: int) -> list[float]:
    """Return the seconds of so many pictures, beside programs that come and go on their own."""
    from worker.program import PROCESSORS  # isort: skip - it makes ready for torch, so it comes first
    from models.checkpoints import checkpoint_defaults
    from models.settings import load_settings
    from models.types.job import JobSpec
    from worker.engine.checkpoints.local_checkpoint import find_checkpoint
    from worker.engine.devices.registry import choose_device
    from worker.engine.loading import load_checkpoint
    from worker.engine.making.generation import generate
    from worker.engine.threads import leave_processors_to_others

    leave_processors_to_others(PROCESSORS)
    device = choose_device("cpu", "auto")
    loaded = load_checkpoint(find_checkpoint("demo"), device, load_settings())
    usual = checkpoint_defaults("demo").model_dump()
    others = [_Other() for _ in range(programs)]
    times: list[float] = []
    try:
        for seed in range(-3, count):
            for other in others:
                other.look()
            begun = time.perf_counter()
            spec = JobSpec(prompt="a red shoe", seed=seed % 2**32, checkpoint="demo", **usual)
            generate(loaded, device, spec, lambda _step: None)
            times.append(time.perf_counter() - begun)
            if seed % 200 == 0:
                print(f"  {max(seed, 0):,} of {count:,} …", file=sys.stderr)
    finally:
        for other in others:
            other.leave()
    # The first ones are a warm-up.
    return times[3:]


class _Other:
    """A program that keeps a processor busy for some time, and then stays away for some."""

    def __init__(self) -> None:
        self._program: subprocess.Popen[bytes] | None = None
        self._until = time.monotonic() + random.uniform(*AWAY_S)

    def look(self) -> None:
        """Come or go, if it is time."""
        if time.monotonic() < self._until:
            return
        if self._program is None:
            self._program = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            self._until = time.monotonic() + random.uniform(*STAYS_S)
        else:
            self.leave()
            self._until = time.monotonic() + random.uniform(*AWAY_S)

    def leave(self) -> None:
        """Go."""
        if self._program is not None:
            self._program.kill()
            self._program.wait()
            self._program = None


if __name__ == "__main__":
    main()
