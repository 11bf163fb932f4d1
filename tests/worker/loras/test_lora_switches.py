"""Switching LoRAs: the weights are what they are for the LoRAs in use, whatever was in use before, to the bit."""

import random

import psutil
import pytest
import torch
from lora_files import ATTENTION, CONVOLUTIONS, digest, kohya, random_layers, save

from models.lora_files import find_lora
from models.types.errors import LoraError
from models.types.lora import Lora, parse_loras
from worker.engine.loras import fused
from worker.engine.loras.layouts import Change


def test_fifty_switches_leave_the_weights_as_they_were_loaded(loaded, loras, folder, files):
    usual = digest(loaded.pipeline)
    # Of some layers the same, and of some not.
    layers = {"a": ATTENTION, "b": CONVOLUTIONS, "c": (*ATTENTION[:2], *CONVOLUTIONS[:1])}
    for seed, (name, names) in enumerate(layers.items()):
        save(kohya(random_layers(loaded.pipeline, seed, names, size=1.0)), folder / f"{name}.safetensors")
    draw, seen = random.Random(1), {}
    for _ in range(50):
        asked = tuple(
            sorted(Lora(name, draw.choice((0.5, 1.0, -2.0))) for name in draw.sample("abc", draw.randint(0, 2)))
        )
        loras.use(asked, files)
        # The same LoRAs are the same weights, whatever was in use before.
        assert seen.setdefault(asked, digest(loaded.pipeline)) == digest(loaded.pipeline)
        if not asked:
            assert not loras._loaded
    loras.use([], files)
    assert digest(loaded.pipeline) == usual
    assert len(set(seen.values())) == len(seen)


def test_five_hundred_switches_keep_no_memory(loaded, loras, folder, files):
    for seed, name in enumerate(("a", "b", "c")):
        save(kohya(random_layers(loaded.pipeline, seed)), folder / f"{name}.safetensors")
    draw, process, held = random.Random(1), psutil.Process(), []
    for switch in range(500):
        loras.use([Lora(name) for name in draw.sample("abc", draw.randint(0, 2))], files)
        if switch in (99, 499):
            held.append(process.memory_info().rss)
    # One copy of a tenth of the weights a switch would be more than a gigabyte.
    assert held[1] - held[0] < 30e6


@pytest.mark.parametrize("asked", ["broken", "olive, broken", "nowhere"])
def test_after_one_that_cannot_be_used_none_is(loaded, loras, folder, files, asked):
    usual = digest(loaded.pipeline)
    layers = random_layers(loaded.pipeline)
    save(kohya(layers), folder / "olive.safetensors")
    broken = kohya(layers)
    broken["lora_unet_nowhere.alpha"] = torch.ones(())
    save(broken, folder / "broken.safetensors")
    loras.use([Lora("olive")], files)
    with pytest.raises(LoraError):
        loras.use(parse_loras(asked), files)
    assert digest(loaded.pipeline) == usual
    assert loras.used == ()
    assert loras.use([Lora("olive")], files)


def test_where_memory_runs_out_half_way_nothing_stays(loaded, loras, folder, files, monkeypatch):
    usual = digest(loaded.pipeline)
    save(kohya(random_layers(loaded.pipeline)), folder / "olive.safetensors")
    added, delta = [], Change.delta

    def run_out(self, like):
        added.append(like)
        if len(added) == 5:
            raise MemoryError
        return delta(self, like)

    with monkeypatch.context() as short:
        short.setattr(Change, "delta", run_out)
        with pytest.raises(MemoryError):
            loras.use([Lora("olive")], files)
    assert digest(loaded.pipeline) == usual
    assert loras.use([Lora("olive")], files)
    assert digest(loaded.pipeline) != usual


def test_few_files_are_kept(loaded, loras, folder, files, monkeypatch):
    for name in "abcd":
        save(kohya(random_layers(loaded.pipeline)), folder / f"{name}.safetensors")
    size = files.read("a").size
    monkeypatch.setattr(fused, "_KEPT", 2 * size)
    for _ in range(3):
        for name in "abcd":
            files.read(name)
    assert len(files._read) == 2
    assert sum(file.size for file in files._read.values()) <= 2 * size


def test_one_that_is_not_kept_any_more_is_still_in_use(loaded, loras, folder, files, monkeypatch):
    for seed, name in enumerate("ab"):
        save(kohya(random_layers(loaded.pipeline, seed)), folder / f"{name}.safetensors")
    monkeypatch.setattr(fused, "_KEPT", 1)
    both = [Lora("a"), Lora("b")]
    assert loras.use(both, files)
    assert not loras.use(both, files)


def test_a_file_that_goes_while_it_is_read_is_said(files, folder, loaded, monkeypatch):
    file = save(kohya(random_layers(loaded.pipeline)), folder / "olive.safetensors")

    def find_and_lose(name, folders):
        path = find_lora(name, folders)
        file.unlink()
        return path

    monkeypatch.setattr("worker.engine.loras.fused.find_lora", find_and_lose)
    with pytest.raises(LoraError, match=r"olive\.safetensors"):
        files.read("olive")
