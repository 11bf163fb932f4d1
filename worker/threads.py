"""How torch's threads wait for one another on a CPU.

Between two steps of an operation each thread waits for the others, asleep or spinning. Asleep it has to be woken, which
a small picture does thousands of times; spinning it holds a processor that another program may want. Seconds a picture
of the demo on two shared cores with GNU OpenMP, alone and beside a program that keeps both cores busy, from one run of
`python -m benchmarks.threads`:

    OMP_WAIT_POLICY=PASSIVE   0.610    0.841
    GOMP_SPINCOUNT=1000       0.385    0.644
    GOMP_SPINCOUNT=10000      0.297    2.383
    GOMP_SPINCOUNT=100000     0.289    0.971
    OpenMP's default          0.245    1.099
    one thread                0.296    0.489

So they spin for a bounded time, for a machine that is left to its work at night: asleep a picture takes twice as long.
Beside programs that keep every core busy it is the other way round; there OMP_WAIT_POLICY, GOMP_SPINCOUNT or
OMP_NUM_THREADS set by hand win.
"""

import os

#: GNU OpenMP, which torch's wheels for Linux bring, counts turns; LLVM's, which those for macOS bring, milliseconds.
WAITING = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1"}


def set_waiting() -> None:
    """Set it, unless the person has set anything of OpenMP; torch reads it when it is imported, so call it before."""
    if not any(name.startswith(("OMP_", "GOMP_", "KMP_")) for name in os.environ):
        os.environ.update(WAITING)
