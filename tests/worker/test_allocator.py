"""Memory that each step needs is kept by the process, and given back when it is asked for."""

import os
import platform
import subprocess
import sys

import pytest

from worker.engine import allocator

#: What a step does: tensors of 80 MB, more than an arena of a thread can hold (64 MiB), made and freed on a thread that
#: is not the first. Prints how many pages were mapped anew once many of them had been there, and the resident pages
#: before and after giving memory back.
STEPS = """
import resource, sys, threading
from pathlib import Path
from worker.engine import allocator
assert allocator.keep_memory() is (sys.argv[1] == "keep")
import torch

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

def work():
    for _ in range(30):
        torch.ones(20_000_000)
    before = faults()
    for _ in range(10):
        torch.ones(20_000_000)
    mapped, full = faults() - before, resident()
    allocator.give_back_memory()
    print(mapped, full - resident())

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
#: Of one such tensor, of 4 KB each.
PAGES = 20_000_000 * 4 // 4_096

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")


def work(way, **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", STEPS, way], env=environment | variables, capture_output=True, text=True, check=True
    )
    return map(int, done.stdout.split())


def test_memory_of_a_step_is_there_for_the_next_and_is_given_back_when_asked_for():
    mapped, given_back = work("keep")
    assert mapped <= PAGES
    assert given_back > 0.9 * PAGES


def test_without_it_each_step_maps_its_memory_anew():
    mapped, given_back = work("leave", MALLOC_ARENA_MAX="1")
    assert mapped > 9 * PAGES
    assert given_back < 0.1 * PAGES


@pytest.mark.parametrize("name", ["MALLOC_MMAP_THRESHOLD_", "MALLOC_CONF", "GLIBC_TUNABLES", "LD_PRELOAD"])
def test_what_a_person_has_set_is_left_alone(monkeypatch, name):
    monkeypatch.setattr(os, "environ", {name: "1"})
    assert not allocator.keep_memory()


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", "1.2"))
    assert not allocator.keep_memory()
    allocator.give_back_memory()
