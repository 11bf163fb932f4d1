"""LoRAs in an engine: the same pictures whatever was in use before, and a record of which files it was."""

import hashlib

import numpy as np
import pytest
import torch
from lora_files import kohya, random_layers, save

from models.tuning import Candidate
from models.types.errors import LoraError
from models.types.identity import Weights
from worker.engine.denoising import packed
from worker.engine.devices.cpu import Cpu
from worker.engine.engine import Engine

CPU = Cpu("cpu", torch.float32)


@pytest.fixture
def fewest():
    """Return from how many weights on a layer's are packed."""
    return packed.FEWEST


@pytest.fixture
def engine(tmp_path, settings, folder, fewest, monkeypatch):
    monkeypatch.setattr(packed.pack, "__defaults__", (fewest,))
    engine = Engine(CPU, settings(device="cpu", data_dir=tmp_path))
    engine.use(Weights("demo"))
    for seed, name in enumerate(("olive", "leather")):
        save(kohya(random_layers(engine._current.loaded.pipeline, seed)), folder / f"{name}.safetensors")
    return engine


def made(engine, spec, **values):
    job = spec(steps=3, **values)
    switch_s = engine.use_loras(job.loras)
    generation, measured = engine.make(job, lambda _step: None)
    return np.asarray(generation.picture), measured, switch_s


@pytest.mark.parametrize("fewest", [packed.FEWEST, 10_000])
def test_a_job_gives_the_same_picture_after_any_other(engine, spec):
    first = {asked: made(engine, spec, lora=asked)[0] for asked in ("", "olive", "leather:0.5", "olive:0.5, leather")}
    assert len({picture.tobytes() for picture in first.values()}) == 4
    # Texts that were encoded with a LoRA are of no use without it, nor the other way round.
    engine.reload()
    assert np.array_equal(made(engine, spec, lora="olive")[0], first["olive"])
    assert np.array_equal(made(engine, spec)[0], first[""])
    for asked in ("olive:0.5, leather", "", "leather:0.5", "olive", "", "olive"):
        assert np.array_equal(made(engine, spec, lora=asked)[0], first[asked])


def test_what_was_used_is_measured_and_a_switch_only_where_there_was_one(engine, spec, folder):
    warmed_up = {"width": 128, "height": 128}
    picture, measured, switch_s = made(engine, spec, lora="olive:0.5", **warmed_up)
    assert switch_s > 0
    (used,) = measured.loras
    content = (folder / "olive.safetensors").read_bytes()
    tensors = content[8 + int.from_bytes(content[:8], "little") :]
    assert (used.name, used.scale, used.sha256) == ("olive", 0.5, hashlib.sha256(tensors).hexdigest())
    # Kernels are the same, so it is no picture of a cold device.
    assert not measured.cold
    assert made(engine, spec, lora="olive:0.5")[2] is None
    again, plain, switch_s = made(engine, spec)
    assert switch_s > 0
    assert plain.loras is None
    assert not np.array_equal(again, picture)


def test_a_file_that_was_replaced_is_read_anew_and_one_that_is_gone_is_still_in_use(engine, spec, folder):
    before, one, _ = made(engine, spec, lora="olive")
    (folder / "olive.safetensors").write_bytes((folder / "leather.safetensors").read_bytes())
    after, other, switch_s = made(engine, spec, lora="olive")
    assert switch_s is not None
    assert one.loras[0].sha256 != other.loras[0].sha256
    assert np.array_equal(after, made(engine, spec, lora="leather")[0])
    assert not np.array_equal(after, before)
    (folder / "leather.safetensors").unlink()
    assert np.array_equal(made(engine, spec, lora="leather")[0], after)
    made(engine, spec)
    with pytest.raises(LoraError, match=r"there is no leather\.safetensors"):
        made(engine, spec, lora="leather")
    # And the next job is made as ever.
    assert np.array_equal(made(engine, spec, lora="olive")[0], after)


def test_after_a_load_none_is_in_use(engine, spec):
    picture, *_ = made(engine, spec, lora="olive")
    engine.reload()
    again, _, switch_s = made(engine, spec, lora="olive")
    assert switch_s is not None
    assert np.array_equal(again, picture)


def test_a_recording_of_the_denoiser_goes_with_the_weights(engine, spec):
    usual = [made(engine, spec, lora=asked)[0] for asked in ("olive", "", "leather")]
    work = engine._current.loaded.denoiser.work
    engine._current.loaded.denoiser.work = lambda _candidate, steps, **_: work(Candidate(1, "traced"), steps)
    traced = [made(engine, spec, lora=asked)[0] for asked in ("olive", "", "leather")]
    assert engine._current.loaded.denoiser._work.passes == 3
    assert all(np.array_equal(*pair) for pair in zip(usual, traced, strict=True))
