"""What sampling memory costs a generation: `python -m benchmarks.memory_watch`.

Two measures: a reading's own processor time against the interval between two readings, and whole
generations with and without the sampling thread, in turn in one process. Prints a table, and JSON last.
"""

import json
import statistics
import time
from contextlib import nullcontext

from models.checkpoints import checkpoint_defaults
from models.settings import load_settings
from models.types.job import JobSpec
from worker.engine.checkpoints.local_checkpoint import find_checkpoint
from worker.engine.devices.registry import choose_device
from worker.engine.loading import load_checkpoint
from worker.engine.making.generation import generate
from worker.engine.memory import MemoryWatch, read_memory

READINGS = 2_000
PAIRS = 15
STEPS = 60


def main() -> None:
    """Measure and print."""
    settings = load_settings()
    device = choose_device("auto", "auto")
    loaded = load_checkpoint(find_checkpoint("demo"), device, settings)
    usual = checkpoint_defaults("demo").model_dump() | {"steps": STEPS}
    spec = JobSpec(prompt="a red shoe", seed=1, checkpoint="demo", **usual)

    begun = time.process_time()
    for _ in range(READINGS):
        read_memory(device)
    reading_s = (time.process_time() - begun) / READINGS

    def cpu_seconds(*, watched: bool) -> float:
        begun = time.process_time()
        with MemoryWatch(device, settings.memory_sample_s) if watched else nullcontext():
            generate(loaded, device, spec, lambda _step: None)
        return time.process_time() - begun

    cpu_seconds(watched=True)
    ratios = [cpu_seconds(watched=True) / cpu_seconds(watched=False) for _ in range(PAIRS)]
    share = reading_s / settings.memory_sample_s
    ratio = statistics.median(ratios)
    print(f"one reading                     {reading_s * 1e6:8.1f} us of processor time")
    print(f"every {settings.memory_sample_s} s, that is           {share:8.3%} of a core")
    print(f"generation, watched / unwatched {ratio:8.4f} (median of {PAIRS} pairs; noise is several percent)")
    print(json.dumps({"reading_s": reading_s, "share": share, "ratio_median": ratio, "ratios": ratios}))


if __name__ == "__main__":
    main()
