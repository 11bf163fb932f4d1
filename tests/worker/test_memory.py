"""Memory figures against what is known to have been allocated, and against the operating system's own."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from worker.engine.devices.cpu import Cpu
from worker.engine.memory import MemoryWatch, read_memory, rss_lifetime_peak

MB = 2**20
CPU = Cpu("cpu", torch.float32)


class CountingDevice(Cpu):
    """A device that lets a test wait for a number of readings."""

    readings = threading.Semaphore(0)

    def allocated_bytes(self):
        self.readings.release()
        return super().allocated_bytes()


def wait_for_readings(device, count):
    for _ in range(count):
        assert device.readings.acquire(timeout=60), "no reading was made"


@pytest.fixture
def device():
    CountingDevice.readings = threading.Semaphore(0)
    return CountingDevice("cpu", torch.float32)


def test_a_spike_between_two_steps_is_caught(device):
    with MemoryWatch(device, interval_s=0.005) as watch:
        wait_for_readings(device, 1)
        spike = b"\1" * (200 * MB)
        # A reading may have begun before the spike was there; the second one has not.
        while device.readings.acquire(blocking=False):
            pass
        wait_for_readings(device, 2)
        del spike
    assert watch.peak.rss >= watch.before.rss + 150 * MB
    assert watch.peak.rss >= watch.after.rss + 150 * MB
    assert watch.peak.available <= min(watch.before.available, watch.after.available)


def test_a_quiet_block_has_no_spike(device):
    with MemoryWatch(device, interval_s=0.005) as watch:
        wait_for_readings(device, 5)
    assert watch.before.rss <= watch.peak.rss < watch.before.rss + 50 * MB


def test_the_sampling_thread_ends_with_the_block_even_if_that_fails():
    with pytest.raises(KeyError), MemoryWatch(CPU, interval_s=0.005) as watch:
        raise KeyError
    assert "memory-watch" not in {thread.name for thread in threading.enumerate()}
    assert watch.after.rss > 0


def test_a_long_interval_does_not_hold_the_block_up():
    # It would end by pytest's own limit.
    with MemoryWatch(CPU, interval_s=3600) as watch:
        pass
    assert watch.peak.rss >= watch.before.rss


def high_water_mark(status="/proc/self/status"):
    """Return the kernel's own figure, in bytes."""
    line = next(line for line in Path(status).read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


linux_alone = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak by another way, /proc")


@linux_alone
def test_the_lifetime_peak_is_the_operating_systems_figure():
    spike = b"\1" * (100 * MB)
    del spike
    low = high_water_mark()
    peak = rss_lifetime_peak()
    assert low <= peak <= high_water_mark()
    # The kernel keeps its peak up to date a little late.
    assert 1.01 * peak >= read_memory(CPU).rss


@linux_alone
def test_the_lifetime_peak_is_not_that_of_the_process_which_started_this_one():
    ballast = b"\1" * (900 * MB)
    code = "from worker.engine.memory import rss_lifetime_peak as peak; print(peak(), open('/proc/self/status').read())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    del ballast
    said, status = done.stdout.split(maxsplit=1)
    kernel = int(status.split("VmHWM:")[1].split()[0]) * 1024
    assert kernel < 800 * MB
    assert int(said) == pytest.approx(kernel, rel=0.05)
