"""Several pictures in one call: each is what it is alone, and none suffers for another."""

from functools import partial

import numpy as np
import psutil
import pytest
import torch

from models.types.errors import CancelledError, DeviceFaultError, GenerationError
from models.types.identity import Weights
from models.types.measurement import MemoryReading
from worker.engine.devices.cpu import Cpu
from worker.engine.engine import Engine
from worker.engine.loading import load_checkpoint

CPU = Cpu("cpu", torch.float32)
PROMPTS = "a red boot", "a blue sandal", "a green loafer", "a white sneaker", "a (black:1.3) shoe", "a pink slipper"


def many():
    """Count the jobs that wait."""
    return 1_000


def no_step(_step):
    pass


@pytest.fixture
def faults():
    """What the device is to do to a call, by a function of its pictures and latents."""
    return []


@pytest.fixture
def engine(tmp_path, settings, faults, monkeypatch):
    """An engine with the demo loaded, whose device obeys `faults`."""

    def load(*args):
        loaded = load_checkpoint(*args)
        denoise = loaded.family.denoise

        def faulty(pipeline, texts, specs, on_step):
            for fault in faults:
                fault(specs, None)
            latents = denoise(pipeline, texts, specs, on_step)
            for fault in faults:
                fault(specs, latents)
            return latents

        monkeypatch.setattr(loaded.family, "denoise", faulty)
        return loaded

    engine = Engine(CPU, settings(device="cpu", data_dir=tmp_path, pictures_a_call=8), load)
    engine.use(Weights("demo"))
    return engine


@pytest.fixture
def jobs(spec):
    """Return a maker of so many jobs of one kind."""
    return lambda count, **values: [
        spec(prompt=PROMPTS[place % len(PROMPTS)], seed=place, **values) for place in range(count)
    ]


def made_together(engine, specs):
    return engine.make_together(specs, [no_step] * len(specs))


def pixels(made):
    return np.asarray(made[0].picture)


def alone(engine, spec):
    return pixels(engine.make(spec, no_step))


@pytest.mark.parametrize("count", [2, 8, 16])
def test_a_picture_is_the_same_to_the_bit_in_any_company(engine, jobs, count):
    specs = jobs(count, steps=3, scheduler="DPM++ 2M SDE", negative_prompt="blurred", width=128, height=128)
    made = made_together(engine, specs)
    for spec, one in zip(specs[:6], made, strict=False):
        assert np.array_equal(pixels(one), alone(engine, spec))
    assert [one[1].pictures_a_call for one in made] == [count] * count


@pytest.mark.parametrize("scheduler", ["PNDM", "UniPC", "Euler a", "Heun", "LMS Karras", "DDIM"])
def test_whatever_the_scheduler(engine, jobs, scheduler):
    specs = jobs(4, steps=3, scheduler=scheduler, width=192)
    for spec, one in zip(specs, made_together(engine, specs), strict=True):
        assert np.array_equal(pixels(one), alone(engine, spec))


def test_texts_of_several_lengths_go_together_and_change_nothing(engine, jobs):
    specs = jobs(4, steps=2)
    specs[1] = specs[1].model_copy(update={"prompt": "a red boot BREAK on white"})
    specs[3] = specs[3].model_copy(update={"negative_prompt": "one BREAK two BREAK three"})
    made = made_together(engine, specs)
    assert [one[1].pictures_a_call for one in made] == [4] * 4
    for spec, one in zip(specs, made, strict=True):
        assert np.array_equal(pixels(one), alone(engine, spec))


def test_one_without_guidance_goes_alone_on_the_cpu(engine, jobs):
    (guided,), (plain,) = jobs(1), jobs(1, guidance=1.0)
    assert engine.most_together(guided, many) == 8
    assert engine.most_together(plain, many) == 1


def test_one_that_is_cancelled_ends_alone_and_the_others_are_what_they_are(engine, jobs):
    def cancel(step):
        if step == 2:
            raise CancelledError("by a person")

    specs = jobs(3)
    made = engine.make_together(specs, [no_step, cancel, no_step])
    assert [isinstance(one, CancelledError) for one in made] == [False, True, False]
    for place in (0, 2):
        # In that call, and not made once more.
        assert made[place][1].pictures_a_call == 3
        assert np.array_equal(pixels(made[place]), alone(engine, specs[place]))


def test_a_call_ends_once_all_its_pictures_have(engine, jobs):
    steps = []

    def cancel(at, step):
        steps.append(step)
        if step == at:
            raise CancelledError(f"at {at}")

    made = engine.make_together(jobs(2), [partial(cancel, 1), partial(cancel, 3)])
    assert [str(one) for one in made] == ["at 1", "at 3"]
    assert max(steps) == 3
    # The next call finds the pipeline as it was.
    (job,) = jobs(1)
    assert np.array_equal(alone(engine, job), alone(engine, job))


def test_out_of_memory_halves_the_call_and_is_remembered(engine, jobs, faults):
    def run_out(specs, latents):
        if len(specs) > 2 and latents is None:
            raise MemoryError

    specs = jobs(8, steps=2)
    usual = [pixels(one) for one in made_together(engine, specs)]
    faults.append(run_out)
    made = made_together(engine, specs)
    assert [one[1].pictures_a_call for one in made] == [2] * 8
    assert all(np.array_equal(pixels(one), other) for one, other in zip(made, usual, strict=True))
    assert engine.most_together(specs[0], many) == 2
    assert engine.most_together(specs[0].model_copy(update={"width": 192}), many) == 8


@pytest.mark.parametrize(
    ("available", "lowest", "most"),
    [(0.9, 0.8, 8), (0.9, 0.55, 8), (0.9, 0.45, 2), (0.5, 0.2, 2), (None, 0.2, 8), (0.9, None, 8)],
)
def test_no_call_is_tried_that_would_leave_the_machine_too_little_memory(engine, jobs, available, lowest, most):
    total = psutil.virtual_memory().total
    before, peak = (MemoryReading(available=part and round(part * total)) for part in (available, lowest))
    job, wide = jobs(1)[0], jobs(1, width=192)[0]
    engine._calls.note_memory(job, 2, before, peak)
    assert engine.most_together(job, many) == most
    assert engine.most_together(wide, many) == 8


def test_one_that_is_not_finite_is_tried_again_alone(engine, jobs, faults):
    spoiled = []

    def spoil(specs, latents):
        if latents is not None and len(specs) > 1:
            latents[1] = float("nan")
            spoiled.append(specs[1].seed)

    specs = jobs(3, steps=2)
    usual = [pixels(one) for one in made_together(engine, specs)]
    faults.append(spoil)
    made = made_together(engine, specs)
    assert spoiled == [1]
    assert all(np.array_equal(pixels(one), other) for one, other in zip(made, usual, strict=True))
    assert [one[1].made_again for one in made] == [False, True, False]
    assert [one[1].pictures_a_call for one in made] == [3, 1, 3]


def test_one_that_is_never_finite_fails_alone(engine, jobs, faults):
    def spoil(specs, latents):
        if latents is not None:
            for place, spec in enumerate(specs):
                if spec.seed == 2:
                    latents[place] = float("inf")

    faults.append(spoil)
    made = made_together(engine, jobs(4, steps=2))
    assert [isinstance(one, GenerationError) for one in made] == [False, False, True, False]


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_an_error_that_nobody_foresaw_is_had_by_the_one_that_causes_it(engine, jobs, faults, error):
    calls = []

    def fail(specs, latents):
        if latents is None:
            calls.append(len(specs))
            if any(spec.seed == 2 for spec in specs):
                raise error("command buffer")

    faults.append(fail)
    made = made_together(engine, jobs(4, steps=2))
    assert [str(one) if isinstance(one, BaseException) else "" for one in made] == ["", "", "command buffer", ""]
    assert calls == [4, 1, 1, 1, 1]


def test_a_device_that_did_not_make_one_is_believed_in_none(engine, jobs, faults):
    def repeat(specs, latents):
        if latents is not None and len(specs) > 1:
            latents[1] = latents[0]

    faults.append(repeat)
    with pytest.raises(DeviceFaultError, match="the last one's"):
        made_together(engine, jobs(3, steps=2))


def test_what_is_in_seconds_is_a_share_of_the_call(engine, jobs):
    made = made_together(engine, jobs(4, steps=2))
    timings = {one[0].timings for one in made}
    assert len(timings) == 1
    (share,) = timings
    assert {one[1].steps_per_s for one in made} == {2 / share.denoise_s}


@pytest.mark.parametrize("compiles", [False, True])
def test_the_first_call_of_a_size_is_cold_where_kernels_are_compiled_for_it(engine, jobs, monkeypatch, compiles):
    monkeypatch.setattr(Cpu, "compiles_each_size", compiles)
    # Of the size that the warm-up makes.
    specs = jobs(2, steps=1, width=128, height=128)
    calls = [made_together(engine, part) for part in (specs, specs, specs[:1], specs[:1])]
    assert [{one[1].cold for one in made} for made in calls] == [{compiles}, {False}, {False}, {False}]
