"""A worker on a CPU beside programs that keep every processor busy."""

import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

from models.records.tables import Boot


@pytest.fixture
def busy_machine():
    with ExitStack() as programs:
        for _ in range(os.cpu_count() or 1):
            program = programs.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            programs.callback(program.kill)
        yield


def test_a_worker_beside_others_has_one_thread_and_says_so(nightshift, openmp, busy_machine):
    del nightshift.environment["OMP_NUM_THREADS"]
    worker = nightshift.wait_until_ready(nightshift.start_worker_anew())
    assert [boot.threads for boot in nightshift.rows(Boot)] == [1]
    assert "since other programs are at work; OMP_NUM_THREADS sets another number" in worker.log


def test_a_number_that_was_set_by_hand_stands_beside_others_too(nightshift, openmp, busy_machine):
    nightshift.environment["OMP_NUM_THREADS"] = "2"
    worker = nightshift.wait_until_ready(nightshift.start_worker_anew())
    assert [boot.threads for boot in nightshift.rows(Boot)] == [min(2, os.cpu_count() or 1)]
    assert "other programs" not in worker.log
