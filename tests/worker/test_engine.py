"""The engine: one thread, one checkpoint at a time, and memory that runs out."""

import shutil
import threading
import weakref

import numpy as np
import pytest
import torch
from sqlalchemy import select

from models.boots import Machine, record_boot
from models.checkpoints import DEMO_FOLDER
from models.database import Database
from models.errors import CheckpointError, GenerationError
from models.tables import Load
from worker import engine as engine_module
from worker.device import Device
from worker.engine import Engine
from worker.generation import generate

CPU = Device("cpu", torch.float32)


def no_step(_step):
    pass


@pytest.fixture
def new_engine(tmp_path, settings):
    """Return a maker of engines on this thread; they share a database."""
    database = Database(settings(data_dir=tmp_path).database)

    def make(**values):
        with database.writing() as session:
            boot_id = record_boot(session, Machine("here", 1, "lock", "cpu", "cpu", "cpu", 1, "float32", None, {}, {}))
        return Engine(CPU, settings(device="cpu", data_dir=tmp_path, **values), database, boot_id)

    yield make
    database.close()


@pytest.fixture
def engine(new_engine):
    """An engine with the demo loaded."""
    engine = new_engine()
    engine.use("demo")
    return engine


def loads(engine):
    with engine._database.reading() as session:
        return list(session.scalars(select(Load).order_by(Load.id)))


def test_the_device_refuses_another_thread(engine, spec):
    caught = []

    def elsewhere(action):
        try:
            action()
        except RuntimeError as error:
            caught.append(str(error))

    for action in (lambda: engine.use("demo"), lambda: engine.make(spec(), no_step), engine.reload):
        thread = threading.Thread(target=elsewhere, args=[action])
        thread.start()
        thread.join()
    assert caught == ["the device belongs to another thread"] * 3
    engine.make(spec(), no_step)


def allocate_too_much(_step):
    torch.empty(10**15)


def raise_memory_error(_step):
    raise MemoryError


def raise_as_mps_does(_step):
    raise RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB, max allowed: 9.07 GB)")


@pytest.mark.parametrize("on_step", [allocate_too_much, raise_memory_error, raise_as_mps_does])
def test_out_of_memory_is_a_cause_of_its_own_and_the_next_picture_is_made(engine, spec, load, on_step):
    with pytest.raises(GenerationError, match="out of memory at 128x128: make it smaller") as caught:
        engine.make(spec(), on_step)
    assert caught.value.cause == "out_of_memory"
    made, _ = engine.make(spec(), no_step)
    assert np.array_equal(made.picture, generate(load(), CPU, spec(), no_step).picture)


def test_another_error_is_not_taken_for_a_lack_of_memory(engine, spec):
    def fail(_step):
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        engine.make(spec(), fail)


def test_the_engine_measures_what_generating_took(engine, spec):
    made, measured = engine.make(spec(steps=8), no_step)
    assert (measured.encode_s, measured.denoise_s) == (made.encode_s, made.denoise_s)
    assert (measured.decode_s, measured.check_s) == (made.decode_s, made.check_s)
    assert min(made.encode_s, made.denoise_s, made.decode_s, made.check_s) > 0
    assert measured.steps_per_s == 8 / made.denoise_s
    assert (measured.first_of_boot, measured.cold) == (True, False)
    _, again = engine.make(spec(), no_step)
    assert (again.first_of_boot, again.cold) == (False, False)
    _, wide = engine.make(spec(width=192), no_step)
    assert (wide.first_of_boot, wide.cold) == (False, True)


@pytest.mark.parametrize("step", ["load_checkpoint", "generate"])
def test_a_load_or_warm_up_that_runs_out_of_memory_says_so(new_engine, monkeypatch, step):
    monkeypatch.setattr(engine_module, step, lambda *_: raise_as_mps_does(0))
    with pytest.raises(GenerationError, match=r"^out of memory .* NIGHTSHIFT_ATTENTION_SLICING=true$") as caught:
        new_engine().use("demo")
    assert caught.value.cause == "out_of_memory"


def test_the_old_weights_are_gone_before_new_ones_are_read(new_engine, monkeypatch, tmp_path):
    copy = shutil.copytree(DEMO_FOLDER, tmp_path / "copy")
    usual, loaded = engine_module.load_checkpoint, []

    def load(*arguments):
        assert not [weights for weights in loaded if weights() is not None]
        made = usual(*arguments)
        loaded.extend(weakref.ref(part) for part in (made.pipeline.unet, made.pipeline.vae, made.pipeline.text_encoder))
        return made

    monkeypatch.setattr(engine_module, "load_checkpoint", load)
    engine = new_engine(checkpoint_folders=str(tmp_path))
    for name in ("demo", str(copy), "demo"):
        engine.use(name)
    engine._current.loaded.pipeline.itself = engine._current
    engine.reload()
    assert len(loaded) == 12


def test_a_checkpoint_that_is_loaded_is_not_loaded_again(new_engine):
    engine = new_engine()
    assert engine.use("demo") == engine.use("demo")


def test_a_pinned_engine_refuses_another_checkpoint_and_keeps_its_own(new_engine, spec):
    engine = new_engine(pin_checkpoint=True)
    load_id = engine.use("demo")
    with pytest.raises(CheckpointError, match="pinned to demo and refuses /other: NIGHTSHIFT_PIN_CHECKPOINT=false"):
        engine.use("/other")
    assert engine.use("demo") == load_id
    engine.make(spec(), no_step)


def test_a_reload_is_a_load_of_the_same_checkpoint_and_its_pictures_are_the_same(engine, spec):
    wide = spec(width=192)
    before, _ = engine.make(wide, no_step)
    first = engine.use("demo")
    engine.reload()
    assert engine.use("demo") > first
    old, new = loads(engine)
    assert (new.checkpoint, new.revision, new.warmup_steps) == (old.checkpoint, old.revision, old.warmup_steps)
    assert min(new.load_s, new.warmup_s) > 0
    after, measured = engine.make(wide, no_step)
    assert measured.cold
    assert np.array_equal(before.picture, after.picture)


def test_after_a_reload_that_failed_the_next_job_loads_again(engine, monkeypatch, spec):
    with monkeypatch.context() as patch:
        patch.setattr(engine_module, "load_checkpoint", lambda *_: raise_as_mps_does(0))
        with pytest.raises(GenerationError, match="out of memory while loading demo"):
            engine.reload()
    engine.use("demo")
    engine.make(spec(), no_step)
    assert len(loads(engine)) == 2
