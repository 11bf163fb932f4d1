"""Calls as is fastest: trials of what was asked for, within a budget, and nothing lost by one that fails."""

import time
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch

from models.tuning import FILE, SIZES, USUAL, Candidate, read_trials
from models.types.errors import DeviceFaultError, GenerationError
from models.types.identity import Weights
from worker.engine.denoising import registry
from worker.engine.denoising.form import Form
from worker.engine.devices.cpu import Cpu
from worker.engine.engine import Engine
from worker.engine.making.tuned_calls import TunedCalls

CPU = Cpu("cpu", torch.float32)
#: More jobs than any trial has to be repaid by.
MANY = 10**9


class Same(Form):
    """The usual form by another name."""

    name = "same"

    def run(self, usual, *given):
        return usual(*given)


class Wrong(Form):
    """Gives other pictures."""

    name = "wrong"

    def run(self, usual, *given):
        return usual(*given) * 1.1


class Broken(Form):
    """Fails."""

    name = "broken"
    error = RuntimeError("no such kernel")

    def run(self, usual, *given):
        raise self.error


class Spoiling(Form):
    """Gives NaN from its second pass on, where nobody compares."""

    name = "spoiling"

    def __init__(self):
        self.passes = 0

    def run(self, usual, *given):
        self.passes += 1
        return usual(*given) * (float("nan") if self.passes > 1 else 1)


@pytest.fixture
def forms(monkeypatch):
    """Have the CPU try these forms."""
    return lambda *kinds: monkeypatch.setitem(registry._FORMS, "cpu", kinds)


@pytest.fixture
def clock(monkeypatch):
    """Have a step take the seconds that a function says of a candidate, whatever it takes."""

    usual, says = TunedCalls._learn, []

    def learn(self, loaded, kind, spec, work, found):
        for each in found:
            if not isinstance(each, BaseException):
                taken = says[-1](work.candidate) * spec.steps + (work.ready_s + work.compare_s) / len(found)
                each.made.timings = replace(each.made.timings, denoise_s=taken)
        usual(self, loaded, kind, spec, work, found)

    monkeypatch.setattr(TunedCalls, "_learn", learn)
    return says.append


@pytest.fixture
def new_engine(tmp_path, settings, clock):
    """Return a maker of engines that tune, whose calls of two are fastest, and any other form faster still."""
    clock(lambda each: {1: 1.0, 2: 0.8}.get(each.size, 0.9) * (1 if each.form == USUAL else 0.5))

    def make(device=CPU, **values):
        engine = Engine(device, settings(device="cpu", data_dir=tmp_path, tuning=True, **values))
        engine.use(Weights("demo"))
        return engine

    return make


@pytest.fixture
def jobs(spec):
    return lambda count, **values: [
        spec(prompt=f"a red boot {place}", seed=place, **{"steps": 3, "width": 64, "height": 64} | values)
        for place in range(count)
    ]


def no_step(_step):
    pass


def call(engine, jobs, waiting=MANY, **values):
    """Make the next call, and return how and its pictures."""
    specs = jobs(engine.most_together(jobs(1, **values)[0], lambda: waiting), **values)
    return engine.make_together(specs, [no_step] * len(specs))


def how(made):
    """Return how pictures were made."""
    (candidate,) = {Candidate(one[1].pictures_a_call, one[1].form) for one in made}
    return candidate


def pixels(made):
    return [np.asarray(one[0].picture) for one in made]


def trials(folder):
    (known,) = read_trials(folder).values()
    return known


def tuned(engine, jobs, **values):
    """Make calls until all is known, and return how."""
    made = []
    while not engine.is_tuned(jobs(1, **values)[0]):
        made.append(call(engine, jobs, **values))
        assert len(made) < 40
    return made


@pytest.fixture
def alone(tmp_path, settings, jobs):
    """Return pictures of the same jobs, made one at a time by an engine that tunes nothing."""
    engine = Engine(CPU, settings(device="cpu", data_dir=tmp_path / "other"))
    engine.use(Weights("demo"))
    return lambda count, **values: pixels([engine.make(each, no_step) for each in jobs(count, **values)])


def test_sizes_come_first_then_forms_and_all_pictures_are_the_same(new_engine, jobs, alone, tmp_path, caplog):
    caplog.set_level("INFO", "nightshift")
    engine = new_engine()
    made = tuned(engine, jobs)
    asked = [Candidate(1)] * 2 + [Candidate(2)] * 2 + [Candidate(4)] * 4 + [Candidate(2, "traced")] * 2
    assert [how(each) for each in made] == asked
    usual = alone(4)
    for each in made:
        assert all(np.array_equal(*pair) for pair in zip(pixels(each), usual, strict=False))
    assert how(call(engine, jobs)) == Candidate(2, "traced")
    assert "fastest at 64x64: 2 a call, traced, 2.50 times as fast as one at a time" in caplog.text
    known = trials(tmp_path)
    assert {candidate: trial.difference for candidate, trial in known.of.items()} == {
        Candidate(1): None,
        Candidate(2): 0.0,
        Candidate(4): 0.0,
        Candidate(2, "traced"): 0.0,
    }
    assert known.of[Candidate(2, "traced")].ready_s > 0


def test_a_picture_that_was_compared_or_waited_for_its_form_is_no_steady_state(new_engine, jobs):
    made = [each[0][1] for each in tuned(new_engine(), jobs)]
    # The first of all is of another size than the warm-up's.
    assert [one.cold for one in made] == [True, False, True, False, True, False, False, False, True, False]


def test_the_next_worker_makes_the_form_ready_where_what_waits_repays_it(new_engine, jobs, tmp_path):
    tuned(new_engine(), jobs)
    known = trials(tmp_path)
    won_s = known.of[Candidate(2)].seconds - known.of[Candidate(2, "traced")].seconds
    repaid = known.of[Candidate(2, "traced")].ready_s / (won_s * 3)
    engine = new_engine()
    if repaid > 2:
        assert how(call(engine, jobs, waiting=int(repaid) - 1)) == Candidate(2)
    assert how(call(engine, jobs, waiting=int(repaid) + 2)) == Candidate(2, "traced")
    # Ready, it needs no repaying any more.
    assert how(call(engine, jobs, waiting=2)) == Candidate(2, "traced")


@pytest.mark.parametrize("waiting", [1, 8, 100, 1_000, 10_000])
def test_trials_cost_no_more_than_a_fiftieth_of_what_waits(new_engine, jobs, forms, tmp_path, waiting):
    class Slow(Same):
        """Whose being made ready takes 60 s, as far as anybody knows."""

        name = "slow to make"
        expected_s = 60.0

    forms(Slow)
    engine = new_engine()
    for _ in range(14):
        call(engine, jobs, waiting=waiting)
    tried = set(trials(tmp_path).of)
    # A picture takes 3 s here, or 2.4 by two a call; comparing takes 2 s, and calls of four are slower by 1.2 s each.
    budget_s = 0.02 * waiting * 3
    assert (Candidate(2) in tried) is (budget_s > 2.1)
    assert (Candidate(2, "slow to make") in tried) is (budget_s > 80)
    assert trials(tmp_path).spent_s <= max(budget_s, 0.1) + 6


def test_a_slow_moment_before_any_trial_costs_no_trial(new_engine, jobs, clock, tmp_path):
    """Another program had the device in the second call, which is what others are held against, and no trial."""
    seconds = iter([1.0, 10.0])
    engine = new_engine()
    clock(lambda each: next(seconds, 0.8 if each == Candidate(2) else 1.0))
    for _ in range(3):
        call(engine, jobs, waiting=100)
    assert Candidate(2) in trials(tmp_path).of


def test_what_other_programs_cost_a_call_of_a_trial_is_no_cost_of_trials(new_engine, jobs, clock, tmp_path):
    engine = new_engine()
    for _ in range(3):
        call(engine, jobs)
    spent_s = trials(tmp_path).spent_s
    clock(lambda _each: 30.0)
    assert how(call(engine, jobs)) == Candidate(2)
    assert trials(tmp_path).of[Candidate(2)].calls == 2
    assert trials(tmp_path).spent_s == spent_s


@pytest.mark.parametrize("batches_a_worker", [30, 3], ids=["of one worker", "of many"])
def test_many_small_batches_repay_a_trial_together(new_engine, jobs, tmp_path, monkeypatch, batches_a_worker):
    """Four pictures at a time wait, which repay nothing by themselves."""
    monkeypatch.setattr(time, "perf_counter", count(step=0.5).__next__)
    tried = []
    for number in range(30):
        if number % batches_a_worker == 0:
            engine = new_engine()
        call(engine, jobs, waiting=4)
        tried.append(Candidate(2) in trials(tmp_path).of)
    assert (tried[3], tried[-1]) == (False, True)


@pytest.mark.parametrize(
    ("form", "says"),
    [(Wrong, "gives other pictures"), (Broken, "failed (RuntimeError: no such kernel)"), (Spoiling, "gives NaN")],
)
def test_a_form_that_gives_other_pictures_or_none_is_dropped_and_takes_no_picture_with_it(
    new_engine, jobs, forms, alone, tmp_path, caplog, form, says
):
    forms(form)
    made = tuned(new_engine(), jobs)
    usual = alone(4)
    for each in made:
        assert all(np.array_equal(*pair) for pair in zip(pixels(each), usual, strict=False))
    assert f"2 a call, {form.name} at 64x64 {says}" in caplog.text
    # What a call that came to nothing took is in these seconds.
    assert all(one[1].cold for one in made[-1])
    assert trials(tmp_path).of[Candidate(2, form.name)].dropped.startswith(says)
    # Neither by this worker nor by the next.
    for engine in (new_engine(), new_engine()):
        assert how(call(engine, jobs)) == Candidate(2)


def test_one_at_a_time_a_form_that_spoils_a_picture_is_dropped_too(new_engine, jobs, forms, alone, tmp_path):
    forms(Spoiling)
    made = tuned(new_engine(pictures_a_call=1), jobs)
    assert all(np.array_equal(pixels(each)[0], alone(1)[0]) for each in made)
    assert trials(tmp_path).of[Candidate(1, "spoiling")].dropped == "gives NaN or infinity"


def test_a_picture_that_is_never_finite_drops_nothing(new_engine, jobs, tmp_path, monkeypatch):
    engine = new_engine()
    tuned(engine, jobs)
    before = (tmp_path / FILE).read_text()
    family = engine._current.loaded.family
    denoise = family.denoise
    monkeypatch.setattr(family, "denoise", lambda *given: denoise(*given) * float("nan"))
    assert all(isinstance(each, GenerationError) for each in call(engine, jobs))
    assert (tmp_path / FILE).read_text() == before


def test_a_size_at_which_pictures_are_others_is_dropped_and_they_are_made_in_halves(
    new_engine, jobs, alone, tmp_path, clock
):
    engine = new_engine()
    clock(lambda each: 1 / each.size)
    unet = engine._current.loaded.pipeline.unet
    unet.conv_in.register_forward_hook(lambda _module, given, made: made * (1 + 1e-5) if len(given[0]) > 8 else made)
    made = tuned(engine, jobs)
    usual = alone(8)
    for each in made:
        assert all(np.array_equal(*pair) for pair in zip(pixels(each), usual, strict=False))
    assert trials(tmp_path).of[Candidate(8)].dropped.startswith("gives other pictures")
    assert [len(each) for each in made][:9] == [1, 1, 2, 2, 4, 4, 8, 4, 4]
    assert how(made[6]) == Candidate(4, USUAL)


def test_out_of_memory_drops_a_form_in_its_trial_and_not_later(new_engine, jobs, forms, tmp_path, monkeypatch):
    forms(Same)
    engine = new_engine()
    tuned(engine, jobs)
    usual = call(engine, jobs)
    assert how(usual) == Candidate(2, "same")

    def run_out(*_):
        raise MemoryError

    with monkeypatch.context() as short:
        short.setattr(Same, "run", run_out)
        made = call(engine, jobs)
    assert how(made) == Candidate(2)
    assert all(np.array_equal(*pair) for pair in zip(pixels(made), pixels(usual), strict=True))
    assert how(call(engine, jobs)) == Candidate(2, "same")
    monkeypatch.setattr(Same, "run", run_out)
    tuned(engine, jobs, width=192)
    assert {trial.dropped for known in read_trials(tmp_path).values() for trial in known.of.values()} == {
        None,
        "failed (MemoryError: )",
    }


def test_a_device_that_computes_no_more_is_no_fault_of_the_form(new_engine, jobs, forms, monkeypatch):
    forms(Broken)
    engine = new_engine()

    def fail():
        raise DeviceFaultError("it computes no more")

    monkeypatch.setattr(engine._canary, "require_computing", lambda: None)
    for _ in range(8):
        call(engine, jobs)
    monkeypatch.setattr(engine._canary, "require_computing", fail)
    with pytest.raises(DeviceFaultError):
        call(engine, jobs)


def test_what_a_person_has_set_is_the_only_size(new_engine, jobs, tmp_path):
    made = tuned(new_engine(pictures_a_call=4), jobs)
    assert {how(each).size for each in made} == {4}
    assert how(made[-1]) == Candidate(4, "traced")


def test_without_tuning_nothing_is_tried_or_written(new_engine, jobs, settings, tmp_path):
    engine = Engine(CPU, settings(device="cpu", data_dir=tmp_path, tuning=False))
    engine.use(Weights("demo"))
    for _ in range(5):
        assert how(call(engine, jobs)) == Candidate(1)
    assert not (tmp_path / FILE).exists()
    assert engine.is_tuned(jobs(1)[0])


def test_a_picture_without_guidance_is_tuned_too(new_engine, jobs, tmp_path):
    """On the CPU it is made alone, so only the form can win."""
    made = tuned(new_engine(), jobs, guidance=1.0)
    assert [how(each) for each in made] == [Candidate(1)] * 2 + [Candidate(1, "traced")] * 2
    assert {kind.guided for kind in read_trials(tmp_path)} == {False}


def test_texts_of_several_lengths_are_nothing_to_learn_from(new_engine, jobs, tmp_path):
    engine = new_engine()
    for _ in range(2):
        call(engine, jobs)
    specs = jobs(2)
    specs[1] = specs[1].model_copy(update={"prompt": "a boot BREAK on white"})
    assert engine.most_together(specs[0], lambda: MANY) == 2
    made = engine.make_together(specs, [no_step] * 2)
    assert [one[1].pictures_a_call for one in made] == [2, 2]
    assert set(trials(tmp_path).of) == {Candidate(1)}
    assert SIZES[1] == 2
