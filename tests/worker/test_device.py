"""Choosing a device and reading its counters. MPS and CUDA are stood in for, since no test machine has both."""

import time
from contextlib import suppress
from types import SimpleNamespace

import pytest
import torch

from models.types.errors import DeviceError
from models.types.measurement import MemoryReading
from worker.engine.devices.chip import chip
from worker.engine.devices.cpu import Cpu
from worker.engine.devices.cuda import Cuda
from worker.engine.devices.mps import Mps
from worker.engine.devices.registry import available_devices, choose_device
from worker.engine.making import generation
from worker.engine.making.generation import generate
from worker.engine.memory import MemoryWatch, memory_sources, read_memory


@pytest.fixture
def machine(monkeypatch):
    """Return a function that says which devices there are."""

    def have(*, mps=False, cuda=0):
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)

    return have


@pytest.mark.parametrize(
    ("there", "best", "all_of_them"),
    [
        ({}, "cpu", ["cpu"]),
        ({"cuda": 1}, "cuda:0", ["cuda", "cpu"]),
        ({"mps": True}, "mps", ["mps", "cpu"]),
        ({"mps": True, "cuda": 2}, "mps", ["mps", "cuda", "cpu"]),
    ],
)
def test_auto_takes_mps_before_cuda_before_the_cpu(machine, there, best, all_of_them):
    machine(**there)
    assert available_devices() == all_of_them
    assert choose_device("auto", "auto").name == best


@pytest.mark.parametrize("name", ["mps", "cuda:0", "cuda:1", "cpu"])
def test_a_device_that_is_there_is_taken_as_named(machine, name):
    machine(mps=True, cuda=2)
    assert choose_device(name, "auto").name == name


def test_cuda_alone_is_the_first_one_in_a_form_that_torch_selects(machine):
    machine(cuda=2)
    device = choose_device("cuda", "auto")
    assert device.name == "cuda:0"
    # torch looks at the index before it looks for a driver, which this machine may not have.
    with suppress(RuntimeError, AssertionError, AttributeError):
        torch.cuda.set_device(device.torch)


@pytest.mark.parametrize("error", [RuntimeError("no driver\nsecond line"), AssertionError("no driver")])
def test_a_device_that_its_driver_refuses_is_named_in_one_line(monkeypatch, error):
    def refuse(_device):
        raise error

    monkeypatch.setattr(torch.cuda, "set_device", refuse)
    with pytest.raises(DeviceError, match=r"^cuda:0 cannot be used: no driver\. See what `nvidia-smi` says of it$"):
        Cuda("cuda:0", torch.float16).select()


@pytest.mark.parametrize(
    ("there", "name", "others"),
    [
        ({}, "mps", "cpu"),
        ({}, "cuda", "cpu"),
        ({"mps": True}, "cuda:0", "mps, cpu"),
        ({"cuda": 2}, "cuda:2", "cuda, cpu"),
    ],
)
def test_an_absent_device_is_an_error_that_names_what_there_is(machine, there, name, others):
    machine(**there)
    with pytest.raises(DeviceError, match=rf"^NIGHTSHIFT_DEVICE={name}: .* there is {others}\. Set one of them"):
        choose_device(name, "auto")


def test_why_a_device_is_absent(machine, monkeypatch):
    machine()
    for built, words in ((False, "built without MPS"), (True, "macOS 14 or later")):
        monkeypatch.setattr(torch.backends.mps, "is_built", lambda built=built: built)
        with pytest.raises(DeviceError, match=words):
            choose_device("mps", "auto")
    for built, words in ((False, "built without CUDA"), (True, "torch sees 0 CUDA devices")):
        monkeypatch.setattr(torch.backends.cuda, "is_built", lambda built=built: built)
        with pytest.raises(DeviceError, match=words):
            choose_device("cuda", "auto")


@pytest.mark.parametrize(
    ("name", "asked", "dtype"),
    [
        ("mps", "auto", torch.float16),
        ("cuda:1", "auto", torch.float16),
        ("cpu", "auto", torch.float32),
        ("mps", "float32", torch.float32),
        ("cuda", "bfloat16", torch.bfloat16),
        ("cpu", "float16", torch.float16),
    ],
)
def test_the_dtype_is_half_on_a_gpu_and_full_on_the_cpu_unless_it_is_asked_for(machine, name, asked, dtype):
    machine(mps=True, cuda=2)
    device = choose_device(name, asked)
    assert device.dtype is dtype
    assert f"torch.{device.dtype_name}" == str(dtype)


def stand_in(monkeypatch, module, calls, **values):
    """Have functions of a torch backend note their calls and answer with fixed values."""
    for name, value in values.items():

        def answer(*arguments, name=name, value=value):
            calls.append((name, *map(str, arguments)))
            return value

        monkeypatch.setattr(module, name, answer)


def test_the_memory_counters_of_mps_are_its_own_and_named(monkeypatch):
    device, calls = Mps("mps", torch.float16), []
    stand_in(monkeypatch, torch.mps, calls, current_allocated_memory=11, driver_allocated_memory=22)
    reading = read_memory(device)
    assert (reading.device_allocated, reading.device_driver) == (11, 22)
    assert calls == [("current_allocated_memory",), ("driver_allocated_memory",)]
    sources = memory_sources(device)
    assert sources["device_allocated"] == "torch.mps.current_allocated_memory"
    assert sources["device_driver"] == "torch.mps.driver_allocated_memory"


def test_the_peaks_of_mps_are_those_of_its_allocator(monkeypatch):
    device, calls = Mps("mps", torch.float16), []
    stand_in(monkeypatch, torch.mps, calls, current_allocated_memory=11, driver_allocated_memory=22)
    stand_in(monkeypatch, torch.accelerator, calls, max_memory_allocated=111, max_memory_reserved=222)
    stand_in(monkeypatch, torch.accelerator, calls, reset_peak_memory_stats=None)
    with MemoryWatch(device, interval_s=10) as watch:
        pass
    assert (watch.peak.device_allocated, watch.peak.device_driver) == (111, 222)
    assert calls[0] == ("reset_peak_memory_stats",)


def test_mps_holds_no_more_than_metal_recommends(monkeypatch):
    device, calls = Mps("mps", torch.float16), []
    stand_in(monkeypatch, torch.mps, calls, set_per_process_memory_fraction=None, recommended_max_memory=48)
    device.select()
    assert calls == [("set_per_process_memory_fraction", "1.0")]
    assert device.recommended_bytes() == 48


def test_mps_is_described_by_its_chip_and_its_cores(monkeypatch):
    stand_in(monkeypatch, torch.backends.mps, [], get_name="Apple M2 Max", get_core_count=38)
    assert Mps("mps", torch.float16).describe() == "Apple M2 Max GPU, 38 cores (Metal)"


def test_a_cuda_device_is_the_same_one_under_any_number(monkeypatch):
    cards = {0: "GPU-a", 1: "GPU-b"}

    def properties(device):
        return SimpleNamespace(uuid=cards[device.index])

    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    second = Cuda("cuda:1", torch.float16).identity()
    # As CUDA_VISIBLE_DEVICES=1 has it.
    cards = {0: "GPU-b"}
    assert Cuda("cuda:0", torch.float16).identity() == second == "cuda-GPU-b"
    assert Cpu("cpu", torch.float32).identity() == "cpu"


def test_the_memory_counters_of_cuda_are_its_own_and_named(monkeypatch):
    device, calls = Cuda("cuda:1", torch.float16), []
    stand_in(monkeypatch, torch.cuda, calls, memory_allocated=11, memory_reserved=22)
    reading = read_memory(device)
    assert (reading.device_allocated, reading.device_driver) == (11, 22)
    assert calls == [("memory_allocated", "cuda:1"), ("memory_reserved", "cuda:1")]
    sources = memory_sources(device)
    assert sources["device_allocated"] == "torch.cuda.memory_allocated"
    assert sources["device_driver"] == "torch.cuda.memory_reserved"


def test_the_cpu_has_no_device_memory_and_names_none():
    device = Cpu("cpu", torch.float32)
    reading = read_memory(device)
    assert (reading.device_allocated, reading.device_driver) == (None, None)
    assert set(memory_sources(device)) == {"rss", "available", "swap", "rss_lifetime_peak"}
    assert reading.rss > 0


def test_a_peak_that_the_device_keeps_itself_wins_over_the_samples(monkeypatch):
    device, calls = Cuda("cuda", torch.float16), []
    stand_in(monkeypatch, torch.cuda, calls, memory_allocated=11, memory_reserved=22, reset_peak_memory_stats=None)
    stand_in(monkeypatch, torch.cuda, calls, max_memory_allocated=111, max_memory_reserved=222)
    with MemoryWatch(device, interval_s=10) as watch:
        pass
    assert calls[0] == ("reset_peak_memory_stats", "cuda")
    assert (watch.before.device_allocated, watch.after.device_allocated) == (11, 11)
    assert (watch.peak.device_allocated, watch.peak.device_driver) == (111, 222)


@pytest.mark.parametrize(("backend", "name", "module"), [(Mps, "mps", torch.mps), (Cuda, "cuda:1", torch.cuda)])
def test_waiting_for_the_device_and_emptying_its_cache_reach_it(monkeypatch, backend, name, module):
    device, calls = backend(name, torch.float16), []
    stand_in(monkeypatch, module, calls, synchronize=None, empty_cache=None)
    device.synchronize()
    device.empty_cache()
    assert [call[0] for call in calls] == ["synchronize", "empty_cache"]


def test_on_cuda_the_device_with_the_number_is_the_threads_own(monkeypatch):
    calls = []
    stand_in(monkeypatch, torch.cuda, calls, set_device=None, get_device_name="Some GPU")
    Cuda("cuda:1", torch.float16).select()
    assert calls == [("set_device", "cuda:1")]
    assert Cuda("cuda:1", torch.float16).describe() == "Some GPU"
    Cpu("cpu", torch.float32).select()
    assert calls[2:] == []


def test_no_clock_is_read_before_the_device_is_done(monkeypatch, load, spec):
    loaded, events = load(), []

    class Clock:
        @staticmethod
        def perf_counter():
            events.append("clock")
            return time.perf_counter()

    monkeypatch.setattr(generation, "time", Clock)
    monkeypatch.setattr(Cpu, "synchronize", lambda _device: events.append("synchronize"))
    generate(loaded, Cpu("cpu", torch.float32), spec(), lambda _step: None)
    # One to begin with; then encoding, denoising, checking, decoding, checking, and turning the tensor into a picture.
    assert events == ["synchronize", "clock"] * 7


def test_the_chip_has_a_name():
    assert chip().strip()
    assert Cpu("cpu", torch.float32).describe() == chip()


def test_readings_add_up_to_the_worst_of_each_kind():
    from models.types.measurement import extreme

    low = MemoryReading(rss=1, device_allocated=None, available=5, swap=0)
    high = MemoryReading(rss=2, device_allocated=None, available=3, swap=0)
    assert extreme([low, high]) == MemoryReading(rss=2, device_allocated=None, available=3, swap=0)
