"""How many threads a worker on a CPU computes with, beside programs that keep every processor busy."""

import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

from models.tables import Boot
from worker.threads import WAITING, Processors, set_waiting


@pytest.fixture
def busy_machine():
    with ExitStack() as programs:
        for _ in range(os.cpu_count() or 1):
            program = programs.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            programs.callback(program.kill)
        yield


@pytest.fixture
def openmp(monkeypatch):
    """Nothing is set of OpenMP, by whoever runs the tests either."""
    for name in [name for name in os.environ if name.startswith(("OMP_", "GOMP_", "KMP_"))]:
        monkeypatch.delenv(name)
    return monkeypatch


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


def test_a_worker_beside_others_has_one_thread_and_says_so(nightshift, openmp, busy_machine):
    del nightshift.environment["OMP_NUM_THREADS"]
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    assert [boot.threads for boot in nightshift.rows(Boot)] == [1]
    assert "since other programs are at work; OMP_NUM_THREADS sets another number" in worker.log


def test_a_number_that_was_set_by_hand_stands_beside_others_too(nightshift, openmp, busy_machine):
    nightshift.environment["OMP_NUM_THREADS"] = "2"
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    assert [boot.threads for boot in nightshift.rows(Boot)] == [min(2, os.cpu_count() or 1)]
    assert "other programs" not in worker.log
