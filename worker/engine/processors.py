"""How many threads torch computes with on a CPU, and how they wait for one another.

Between two steps of an operation each thread waits for the others, which a small picture does thousands of times.
Asleep it has to be woken each time, so they spin, for a bounded time. And where another program has a processor, the
thread that should run there is waited for by all: there is one thread fewer for each processor that is taken. Seconds a
picture of the demo on two shared cores with GNU OpenMP, alone, beside a program that keeps one core busy, and beside
two of them, from one run of `python -m benchmarks.threads`:

    what this module sets     0.214   0.252   0.391
    OpenMP's default          0.214   0.860   1.351
    OMP_WAIT_POLICY=PASSIVE   0.504   0.337   0.775
    GOMP_SPINCOUNT=1000       0.295   0.546   0.870
    GOMP_SPINCOUNT=10000      0.225   1.429   0.690
    GOMP_SPINCOUNT=100000     0.208   4.950   0.618
    one thread                0.247   0.250   0.396

For the architecture of Stable Diffusion 1.5 at 256x256 (`--stable-diffusion`), where a picture takes 17 s, the same is
the best of four alone and beside a busy program, where the default takes 1.40 times as long; beside two it takes 1.29
times as long as `PASSIVE`.

Another number of threads rounds differently, so it is chosen once, at the start: all pictures of a boot are alike.
"""

import os
import time

import psutil

#: GNU OpenMP, which torch's wheels for Linux bring, counts turns; LLVM's, which those for macOS bring, milliseconds.
WAITING = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1"}


def set_waiting() -> bool:
    """Bound the spinning unless the person has set anything of OpenMP, and return whether threads are ours to set.

    torch reads it when it is imported, so call it before.
    """
    if any(name.startswith(("OMP_", "GOMP_", "KMP_")) for name in os.environ):
        return False
    os.environ.update(WAITING)
    return True


class Processors:
    """The processors that this process may use, and how much of them others have taken since this was made."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        # macOS lets nobody choose processors, and so has no such method.
        allowed = self._process.cpu_affinity() if hasattr(self._process, "cpu_affinity") else None
        self._allowed = allowed or list(range(psutil.cpu_count() or 1))
        self._begun, self._idle, self._own = self._read()

    def taken(self) -> float:
        """Return how many processors others have kept busy on average; what a hypervisor withholds counts as theirs."""
        now, idle, own = self._read()
        passed = now - self._begun
        busy = len(self._allowed) * passed - (idle - self._idle) - (own - self._own)
        return max(0.0, busy / passed)

    def free(self) -> int:
        """Return how many processors are left to this process, to the nearest, and at least one."""
        return max(1, len(self._allowed) - int(self.taken() + 0.5))

    def _read(self) -> tuple[float, float, float]:
        """Return the time, the seconds that the processors were idle, and those that this process has used."""
        every = psutil.cpu_times(percpu=True)
        idle = sum(every[i].idle + getattr(every[i], "iowait", 0.0) for i in self._allowed)
        own = self._process.cpu_times()
        return time.monotonic(), idle, own.user + own.system
