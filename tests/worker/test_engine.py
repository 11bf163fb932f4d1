"""The engine: one thread, one checkpoint at a time, and memory that runs out."""

import shutil
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models.checkpoints import DEMO_FOLDER
from models.types.errors import CheckpointError, GenerationError
from models.types.identity import Weights
from worker.engine import engine as engine_module
from worker.engine.devices.cpu import Cpu
from worker.engine.engine import Engine
from worker.engine.loading import load_checkpoint
from worker.engine.making.generation import generate

CPU = Cpu("cpu", torch.float32)


class HalfCpu(Cpu):
    """Stands in for a GPU, as far as that computes in float16."""

    computes_in_float16 = True


DEMO = Weights("demo")


def many():
    """Count the jobs that wait."""
    return 1_000


def no_step(_step):
    pass


@pytest.fixture
def new_engine(tmp_path, settings):
    """Return a maker of engines on this thread."""
    return lambda load=load_checkpoint, **values: Engine(CPU, settings(device="cpu", data_dir=tmp_path, **values), load)


@pytest.fixture
def engine(new_engine):
    """An engine with the demo loaded."""
    engine = new_engine()
    engine.use(DEMO)
    return engine


def test_the_device_refuses_another_thread(engine, spec):
    caught = []

    def elsewhere(action):
        try:
            action()
        except RuntimeError as error:
            caught.append(str(error))

    for action in (lambda: engine.use(DEMO), lambda: engine.make(spec(), no_step), engine.reload):
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
    with pytest.raises(GenerationError, match="out of memory at 64x64: make it smaller") as caught:
        engine.make(spec(), on_step)
    assert caught.value.cause == "out_of_memory"
    made, _ = engine.make(spec(), no_step)
    assert np.array_equal(np.asarray(made.picture), np.asarray(generate(load(), CPU, spec(), no_step).picture))


def test_caches_are_emptied_once_nothing_of_the_failed_try_is_in_memory(tmp_path, settings, spec, monkeypatch):
    blocks, left = [], []

    def run_out(_step):
        block = torch.empty(1_000)
        blocks.append(weakref.ref(block))
        raise MemoryError

    engine = Engine(CPU, settings(device="cpu", data_dir=tmp_path))
    engine.use(DEMO)
    monkeypatch.setattr(Cpu, "empty_cache", lambda _device: left.append([block() for block in blocks]))
    with pytest.raises(GenerationError, match="out of memory"):
        engine.make(spec(), run_out)
    # After the first try, and after the second.
    assert left == [[None], [None, None]]


def test_schedulers_that_come_to_the_same_are_no_fault_of_the_device(engine, spec):
    euler, heun = (engine.make(spec(steps=1, scheduler=name), no_step)[0] for name in ("Euler", "Heun"))
    assert np.array_equal(np.asarray(euler.picture), np.asarray(heun.picture))


def test_another_error_is_not_taken_for_a_lack_of_memory(engine, spec):
    def fail(_step):
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        engine.make(spec(), fail)


def test_the_engine_measures_what_generating_took(engine, spec):
    warmed_up = {"width": 128, "height": 128}
    made, measured = engine.make(spec(steps=8, **warmed_up), no_step)
    assert measured.timings == made.timings
    assert min(made.timings.encode_s, made.timings.denoise_s, made.timings.decode_s, made.timings.validate_s) > 0
    assert measured.timings.save_s is None
    assert measured.steps_per_s == 8 / made.timings.denoise_s
    assert (measured.first_of_boot, measured.cold) == (True, False)
    _, again = engine.make(spec(**warmed_up), no_step)
    assert (again.first_of_boot, again.cold) == (False, False)
    _, wide = engine.make(spec(width=192), no_step)
    assert (wide.first_of_boot, wide.cold) == (False, True)
    # One prompt at a time goes through the denoiser, which is another shape.
    _, plain = engine.make(spec(guidance=1.0), no_step)
    _, again = engine.make(spec(guidance=1.0), no_step)
    assert (plain.cold, again.cold) == (True, False)


def without_memory(*_):
    raise_as_mps_does(0)


@pytest.mark.parametrize("step", ["load", "warm_up"])
def test_a_load_or_warm_up_that_runs_out_of_memory_says_so(new_engine, monkeypatch, step):
    if step == "warm_up":
        monkeypatch.setattr(engine_module, step, without_memory)
    with pytest.raises(GenerationError, match=r"^out of memory .* NIGHTSHIFT_ATTENTION_SLICING=true$") as caught:
        new_engine(without_memory if step == "load" else load_checkpoint).use(DEMO)
    assert caught.value.cause == "out_of_memory"


def test_the_old_weights_are_gone_before_new_ones_are_read(new_engine, tmp_path):
    copy = shutil.copytree(DEMO_FOLDER, tmp_path / "copy")
    loaded = []

    def load(*arguments):
        assert not [weights for weights in loaded if weights() is not None]
        made = load_checkpoint(*arguments)
        loaded.extend(weakref.ref(part) for part in (made.pipeline.unet, made.pipeline.vae, made.pipeline.text_encoder))
        return made

    engine = new_engine(load, checkpoint_folders=str(tmp_path))
    for name in ("demo", str(copy), "demo"):
        engine.use(Weights(name))
    engine._current.loaded.pipeline.itself = engine._current
    engine.reload()
    assert len(loaded) == 12


def test_a_checkpoint_that_is_loaded_is_not_loaded_again(new_engine):
    engine = new_engine()
    assert engine.use(DEMO) is engine.use(DEMO)


def test_a_pinned_engine_refuses_another_checkpoint_and_keeps_its_own(new_engine, spec):
    engine = new_engine(pin_checkpoint=True)
    load = engine.use(DEMO)
    with pytest.raises(CheckpointError, match="pinned to demo and refuses /other: NIGHTSHIFT_PIN_CHECKPOINT=false"):
        engine.use(Weights("/other"))
    assert engine.use(DEMO) is load
    engine.make(spec(), no_step)


def test_a_reload_is_a_load_of_the_same_checkpoint_and_its_pictures_are_the_same(engine, spec):
    wide = spec(width=192)
    before, _ = engine.make(wide, no_step)
    old, new = engine.use(DEMO), engine.reload()
    assert engine.use(DEMO) is new
    assert new is not old
    assert (new.weights, new.revision, new.warmup_steps) == (old.weights, old.revision, old.warmup_steps)
    assert min(new.load_s, new.warmup_s) > 0
    after, measured = engine.make(wide, no_step)
    assert measured.cold
    assert np.array_equal(np.asarray(before.picture), np.asarray(after.picture))


def test_after_a_reload_that_failed_the_next_job_loads_again(new_engine, spec):
    loads = iter([load_checkpoint, without_memory, load_checkpoint])
    engine = new_engine(lambda *arguments: next(loads)(*arguments))
    engine.use(DEMO)
    with pytest.raises(GenerationError, match="out of memory while loading demo"):
        engine.reload()
    assert engine.use(DEMO).load_s > 0
    engine.make(spec(), no_step)


@pytest.mark.parametrize("sliced", [False, True])
def test_a_load_says_whether_the_attention_was_sliced(new_engine, sliced):
    assert new_engine(attention_slicing=sliced).use(DEMO).knobs.attention_slicing is sliced


def test_a_picture_that_a_second_try_made_is_no_steady_state(engine, spec):
    failures = iter([raise_memory_error])
    made, measured = engine.make(spec(), lambda step: next(failures, no_step)(step))
    assert (measured.made_again, measured.cold) == (True, True)
    assert made.picture.size == (64, 64)
    _, next_one = engine.make(spec(), no_step)
    assert (next_one.made_again, next_one.cold) == (False, False)


def test_where_nothing_is_loaded_the_next_job_goes_alone(new_engine, spec):
    """It is claimed before its checkpoint is loaded; what failed may have been that of the last one."""

    def fail(*_):
        raise CheckpointError("cut short")

    loads = iter([load_checkpoint, fail, load_checkpoint])
    engine = new_engine(lambda *args: next(loads)(*args), pictures_a_call=8)
    engine.use(DEMO)
    assert engine.most_together(spec(), many) == 8
    with pytest.raises(CheckpointError):
        engine.reload()
    assert engine.most_together(spec(), many) == 1
    engine.use(DEMO)
    assert engine.most_together(spec(), many) == 8


class Session:
    """Stands for a training, which is begun with a pipeline."""

    def __init__(self, pipeline, device, revision):
        self.key = ""
        self.pipeline = pipeline


def test_a_training_has_the_device_until_something_else_needs_it(engine, spec):
    before = engine.make(spec(), no_step)[0].picture
    first = engine.session("one", "demo", "auto", Session)
    assert engine.session("one", "demo", "auto", Session) is first
    # Its pipeline is plain: nothing of what makes pictures the same in company is about it.
    assert type(first.pipeline.unet.conv_in) is torch.nn.Conv2d
    assert not any(type(module).__name__ == "_PictureByPicture" for module in first.pipeline.unet.modules())
    gone = weakref.ref(first.pipeline)
    other = engine.session("two", "demo", "no", Session)
    del first
    assert gone() is None
    assert other.pipeline.unet.dtype == torch.float32
    gone = weakref.ref(other.pipeline)
    del other
    engine.use(DEMO)
    assert gone() is None
    assert engine.make(spec(), no_step)[0].picture.tobytes() == before.tobytes()


def test_a_pinned_engine_trains_its_own_checkpoint_alone_and_stays_pinned_after_that(new_engine):
    engine = new_engine(pin_checkpoint=True)
    engine.use(DEMO)
    with pytest.raises(CheckpointError, match="pinned to demo and refuses /other"):
        engine.session("one", "/other", "auto", Session)
    engine.session("one", "demo", "auto", Session)
    with pytest.raises(CheckpointError, match="pinned to demo and refuses /other"):
        engine.use(Weights("/other"))


def test_a_training_is_let_go_where_memory_is_to_be_given_back(engine):
    made = engine.session("one", "demo", "auto", Session)
    assert engine.reload() is None
    assert engine.session("one", "demo", "auto", Session) is not made
    # A key that was changed is another one's.
    again = engine.session("one", "demo", "auto", Session)
    again.key = "two"
    assert engine.session("two", "demo", "auto", Session) is again


def test_memory_that_runs_out_in_a_training_is_told_with_what_helps(engine):
    engine.session("one", "demo", "auto", Session)

    def fail():
        raise MemoryError("out of memory")

    with pytest.raises(GenerationError, match="out of memory in a training: a smaller train_batch_size needs less"):
        engine.in_session(fail)


def test_a_training_in_float16_is_one_in_float32_on_a_device_that_does_not_compute_in_it(settings, tmp_path):
    for kind, precision, dtype in (
        (Cpu, "fp16", torch.float32),
        (Cpu, "bf16", torch.bfloat16),
        (HalfCpu, "fp16", torch.float16),
    ):
        engine = Engine(kind("cpu", torch.float32), settings(data_dir=tmp_path))
        pipelines = []

        def begin(pipeline, _device, _revision, pipelines=pipelines):
            pipelines.append(pipeline)
            return SimpleNamespace()

        engine.session("one", "demo", precision, begin)
        assert [pipeline.unet.dtype for pipeline in pipelines] == [dtype]
