"""How torch's threads wait for one another on a CPU.

Between two steps of an operation each thread waits for the others, asleep or spinning. Asleep it has to be woken, which
a small picture does thousands of times; spinning it holds a processor that another program may want. Seconds a picture
of the demo on two cores with GNU OpenMP, alone and beside a busy program:

    OMP_WAIT_POLICY=PASSIVE   0.51-0.60    0.34
    OMP_WAIT_POLICY=ACTIVE    0.22-0.30    5.98
    GOMP_SPINCOUNT=1000       0.31-0.34    0.33
    GOMP_SPINCOUNT=10000      0.23-0.24    0.31

So they spin for a bounded time, for a machine that is left to its work. Where other programs keep every core busy,
sleeping is better: three turns beside a full test run took 1.7-2.9 s with 10000, 0.6-0.8 with 1000, 0.34-0.46 asleep.
`python -m benchmarks.threads` measures it on any machine; OMP_WAIT_POLICY and its like, set by hand, win.
"""

import os

#: GNU OpenMP, which torch's wheels for Linux bring, counts turns; LLVM's, which those for macOS bring, milliseconds.
WAITING = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1"}


def set_waiting() -> None:
    """Set it, unless the person has set anything of OpenMP; torch reads it when it is imported, so call it before."""
    if not any(name.startswith(("OMP_", "GOMP_", "KMP_")) for name in os.environ):
        os.environ.update(WAITING)
