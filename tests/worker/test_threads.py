"""How many threads a worker on a CPU computes with, beside programs that keep every processor busy."""

import os

from worker.engine.processors import WAITING, Processors, set_waiting


def test_the_spinning_is_bounded_unless_something_is_set_by_hand(openmp):
    openmp.setattr(os, "environ", {"HOME": "/nowhere"})
    assert set_waiting()
    assert os.environ == {"HOME": "/nowhere", **WAITING}
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        openmp.setattr(os, "environ", {name: "1"})
        assert not set_waiting()
        assert os.environ == {name: "1"}


def test_what_this_process_uses_is_not_taken_by_others():
    processors = Processors()
    before = processors._read()
    while (after := processors._read())[2] - before[2] < 0.5:
        sum(range(100_000))
    passed, idle, own = (later - earlier for earlier, later in zip(before, after, strict=True))
    others = len(processors._allowed) * passed - idle - own
    # Counted together, own and others' use would be more by what was used here.
    assert processors.taken() * passed < others + 0.25


def test_a_machine_without_a_free_processor_leaves_one(openmp):
    processors = Processors()
    openmp.setattr(processors, "taken", lambda: 1000.0)
    assert processors.free() == 1
    openmp.setattr(processors, "taken", lambda: 0.4)
    assert processors.free() == len(processors._allowed)
