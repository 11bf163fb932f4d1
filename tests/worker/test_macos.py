"""What macOS says, by calls that are stood in for: no test machine is a Mac."""

import ctypes
import os
import struct
from types import SimpleNamespace

import pytest
import torch

from models.types import clock
from models.types.clock import Sleep
from worker.engine import macos, memory
from worker.engine.devices.cpu import Cpu
from worker.engine.memory import MemoryWatch, memory_sources, read_memory, rss_lifetime_peak


@pytest.fixture
def system(monkeypatch):
    """Stand in for libSystem, and for the system's name."""

    def proc_pid_rusage(pid, flavour, buffer):
        assert (pid, flavour) == (os.getpid(), 4)
        # <sys/resource.h>: a UUID, then 35 numbers; the 8th is the footprint, the 29th its highest.
        numbers = [0] * 35
        numbers[7], numbers[28] = 5_000, 9_000
        content = bytes(range(16)) + struct.pack("=35Q", *numbers)
        assert ctypes.sizeof(buffer._obj) == len(content)
        ctypes.memmove(ctypes.addressof(buffer._obj), content, len(content))
        return 0

    def sysctlbyname(name, value, length, _new, _new_length):
        assert name == b"kern.memorystatus_vm_pressure_level"
        assert length._obj.value == 4
        value._obj.value = 2
        return 0

    made = SimpleNamespace(proc_pid_rusage=proc_pid_rusage, sysctlbyname=sysctlbyname)
    monkeypatch.setattr(macos, "_system", lambda: made)
    monkeypatch.setattr(memory, "_IS_MACOS", True)
    return made


@pytest.fixture
def device():
    return Cpu("cpu", torch.float32)


def test_the_workers_memory_is_its_footprint_and_says_so(system, device):
    assert read_memory(device).rss == 5_000
    assert rss_lifetime_peak() == 9_000
    sources = memory_sources(device)
    assert sources["rss"] == "proc_pid_rusage, physical footprint"
    assert sources["rss_lifetime_peak"] == "proc_pid_rusage, highest physical footprint"


def test_memory_pressure_is_read_beside_a_picture(system, device):
    with MemoryWatch(device, interval_s=10) as watch:
        pass
    assert watch.pressure == 2


def test_what_the_system_refuses_to_say_is_an_error_or_unknown_and_no_figure(system):
    system.proc_pid_rusage = lambda *_: -1
    with pytest.raises(OSError, match="proc_pid_rusage"):
        macos.footprints()
    system.sysctlbyname = lambda *_: -1
    assert macos.memory_pressure() is None


def test_elsewhere_there_is_no_word_for_memory_pressure(device):
    with MemoryWatch(device, interval_s=10) as watch:
        pass
    assert watch.pressure is None


def test_sleep_is_what_one_clock_counts_and_the_other_does_not(monkeypatch):
    clocks = dict.fromkeys(range(20), 1_000.0)
    monkeypatch.setattr("time.clock_gettime", clocks.__getitem__)
    sleep = Sleep()
    through_sleep, awake = clock._CLOCK, clock._CLOCK_AWAKE
    # A slow machine: an hour for both.
    clocks[through_sleep] += 3_600
    clocks[awake] += 3_600
    assert sleep.since_last() == 0
    # A short moment between the two readings is no sleep.
    clocks[through_sleep] += 0.4
    assert sleep.since_last() == 0
    clocks[through_sleep] += 3_600
    clocks[awake] += 60
    assert sleep.since_last() == 3_540
    assert sleep.since_last() == 0
