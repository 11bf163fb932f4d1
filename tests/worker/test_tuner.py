"""What is fastest on a device: gone on to as long as it wins, kept for the next worker, and never what ended one."""

import json

import pytest
import torch

from models.tuning import FILE, SIZES, USUAL, Candidate, Trials
from worker.engine.denoising.denoiser import Work
from worker.engine.devices.cpu import Cpu
from worker.engine.making.tuner import Tuner

CPU = Cpu("cpu", torch.float32)
FAMILY = "StableDiffusion"
ONE, TWO = Candidate(1), Candidate(2)


@pytest.fixture
def tuners(tmp_path):
    """Return a maker of what a worker of a version knows."""
    return lambda version="torch 1": Tuner(CPU, tmp_path, version)


@pytest.fixture
def kind(tuners, spec):
    """Return a maker of kinds of calls."""
    return lambda **values: tuners().kind(spec(**values), FAMILY)


def note(tuner, kind, candidate, seconds=1.0):
    tuner.note(kind, Work(candidate, is_compared=False, last_pass=0), seconds, 0.0)


def calls_of(seconds, forms=()):
    """Return how the first 60 calls are made on a device that takes so many seconds."""
    trials, made = Trials(), []
    for _ in range(60):
        made.append(candidate := trials.next(SIZES, forms))
        trials.note(candidate, seconds(candidate, made.count(candidate)))
    assert trials.is_settled(SIZES, forms)
    assert trials.fastest() == made[-1]
    return made


@pytest.mark.parametrize(
    ("seconds", "best", "looks"),
    [
        ({1: 10, 2: 7.3, 4: 6.7, 8: 6.2, 16: 5.9}, 16, []),
        ({1: 10, 2: 9.3, 4: 9.4, 8: 5.0, 16: 5.0}, 2, [8, 0, 0]),
        ({1: 10, 2: 9.9, 4: 1, 8: 1, 16: 1}, 1, [8, 0, 0, 0]),
        ({1: 10, 2: 20, 4: 1, 8: 1, 16: 1}, 1, [4, 0, 0, 0]),
    ],
    ids=["all win", "two win", "too little", "slower"],
)
def test_it_goes_on_as_long_as_a_size_wins_and_stays_there(seconds, best, looks):
    made = calls_of(lambda candidate, _: seconds[candidate.size])
    assert made[-1] == Candidate(best)
    assert made[:4] == [ONE, ONE, TWO, TWO]
    # What does not win is looked at more often, since other programs make some calls slow, and then no more.
    assert [made.count(Candidate(size)) for size in SIZES if size > best] == looks


def test_a_slow_moment_does_not_decide():
    """The first two calls of two take twice as long, as beside another program."""
    usual = {1: 10, 2: 7}
    made = calls_of(lambda each, number: (2 if each == TWO and number <= 2 else 1) * usual.get(each.size, 9))
    assert made[-1] == TWO


def test_what_was_hardly_slower_in_a_slow_minute_wins_in_the_next():
    made = calls_of(lambda each, number: {1: 10, 2: 10.4 if number <= 5 else 9}.get(each.size, 20))
    assert made[-1] == TWO


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({USUAL: 1.0, "a": 0.9, "b": 0.8}, "b"),
        ({USUAL: 1.0, "a": 0.8, "b": 0.9}, "a"),
        ({USUAL: 1.0, "a": 0.98, "b": 2.0}, USUAL),
    ],
)
def test_forms_are_tried_at_the_size_that_is_fastest(seconds, best):
    """Of sizes, two are fastest here."""
    made = calls_of(lambda each, _: seconds[each.form] * {1: 10, 2: 7}.get(each.size, 9), ("a", "b"))
    assert made[-1] == Candidate(2, best)
    assert {each.size for each in made if each.form != USUAL} == {2}


class Limits:
    """What a test finds worth it."""

    def __init__(self, trial=lambda _: True, use=lambda _: True):
        self.trial, self.use = trial, use


def test_what_is_not_worth_a_trial_or_being_made_ready_is_left_out():
    trials = Trials()
    assert trials.next(SIZES, ["a"], Limits(trial=lambda _: False)) == ONE
    for candidate, seconds in ((ONE, 10), (TWO, 7), (Candidate(4), 8), (Candidate(2, "a"), 5)):
        for _ in range(4):
            trials.note(candidate, seconds)
    assert trials.next(SIZES, ["a"]) == Candidate(2, "a")
    assert trials.next(SIZES, ["a"], Limits(use=lambda _: False)) == TWO
    # A trial that is not worth it keeps nothing from what is known already.
    assert trials.next(SIZES, ["b", "a"], Limits(trial=lambda _: False)) == Candidate(2, "a")


def test_no_size_is_gone_on_to_that_is_not_among_those_asked_for():
    trials = Trials()
    for _ in range(2):
        trials.note(ONE, 1.0)
    assert trials.next((1,), ()) == ONE
    assert trials.is_settled((1,), ())
    # One that a person has set is the first there is.
    assert Trials().next((8,), ()) == Candidate(8)


def test_what_was_found_out_is_there_for_the_next_worker(tuners, kind):
    first = tuners()
    for candidate in (ONE, ONE, TWO, TWO):
        with first.trying(kind(), candidate):
            note(first, kind(), candidate, 10 / candidate.size)
    assert first.known(kind()).next(SIZES, ()) == Candidate(4)
    assert tuners().known(kind()).next(SIZES, ()) == Candidate(4)


@pytest.mark.parametrize("values", [{"width": 192}, {"guidance": 1.0}, {"scheduler": "Heun"}], ids=str)
def test_another_shape_or_scheduler_is_another_matter(tuners, kind, spec, values):
    known = tuners()
    for _ in range(2):
        note(known, kind(), ONE)
    assert known.known(kind(prompt="another", seed=5, steps=9)).next(SIZES, ()) == TWO
    for other in (kind(**values), known.kind(spec(), "another family"), tuners("torch 2").kind(spec(), FAMILY)):
        assert known.known(other).next(SIZES, ()) == ONE


@pytest.mark.parametrize("candidate", [Candidate(8), Candidate(4, "a")], ids=str)
def test_what_ended_a_worker_is_never_tried_again_and_is_told_of(tuners, kind, tmp_path, caplog, candidate):
    first = tuners()
    for each in (ONE, ONE, TWO, TWO, Candidate(4), Candidate(4)):
        note(first, kind(), each, 10 / each.size)
    with first.trying(kind(), candidate):
        # What the file says now is what a worker that is killed here leaves.
        left = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(left)
    known = tuners().known(kind())
    assert f"{candidate} at 64x64 ended the worker and is not tried again" in caplog.text
    made = []
    for _ in range(40):
        made.append(each := known.next(SIZES, ["a"]))
        known.note(each, 10 / each.size)
    assert candidate not in made
    assert made[-1] == {"usual": Candidate(4), "a": Candidate(16)}[candidate.form]
    # A call that ended in order has left no mark.
    with first.trying(kind(), candidate):
        pass
    assert tuners().known(kind()).of.get(candidate) is None


def test_a_call_that_raises_leaves_no_mark(tuners, kind):
    first = tuners()
    for _ in range(2):
        note(first, kind(), ONE)
    with pytest.raises(RuntimeError), first.trying(kind(), TWO):
        raise RuntimeError
    assert tuners().known(kind()).next(SIZES, ()) == TWO


def test_all_that_is_known_of_a_candidate_is_kept(tuners, kind):
    first, candidate = tuners(), Candidate(2, "a")
    work = Work(candidate, is_compared=True, last_pass=0, made_ready=True, ready_s=3.0, difference=1e-4)
    first.note(kind(), work, 0.5, 1.0)
    first.drop(kind(), Candidate(4), "gives NaN or infinity", 2.0)
    first.note_work(kind(), 7.0)
    first.note_work(kind(), 8.0)
    assert (first.known(kind()).spent_s, first.known(kind()).worked_s) == (3.0, 15.0)
    other = tuners()
    assert other.known(kind()) == first.known(kind())
    trial = other.known(kind()).of[candidate]
    assert (trial.calls, trial.seconds, trial.ready_s, trial.difference) == (1, 0.5, 3.0, 1e-4)


def test_what_an_earlier_version_wrote_is_known(tuners, kind, tmp_path):
    first = tuners()
    first.drop(kind(), TWO, "ended the worker", 1.0)
    (row,) = json.loads((tmp_path / FILE).read_text())
    del row["worked_s"], row["spent_s"]
    (tmp_path / FILE).write_text(json.dumps([row]))
    assert tuners().known(kind()).of[TWO].dropped == "ended the worker"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', "[3]", "\x00"], ids=repr)
def test_a_file_that_cannot_be_read_is_found_out_anew(tuners, kind, tmp_path, content):
    (tmp_path / FILE).write_text(content)
    known = tuners()
    assert known.known(kind()).next(SIZES, ()) == ONE
    note(known, kind(), ONE)
    assert json.loads((tmp_path / FILE).read_text())


@pytest.mark.parametrize("part", ["candidates", "trying", "device"])
@pytest.mark.parametrize("value", [3.5, "x", {"a": 1}, [], [{"size": "x"}]], ids=repr)
def test_a_row_of_it_that_means_nothing_is_found_out_anew(tuners, kind, tmp_path, part, value):
    first = tuners()
    for _ in range(2):
        note(first, kind(), ONE)
    (row,) = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps([row | {part: value}]))
    assert tuners().known(kind()).next(SIZES, ()) == ONE


def test_a_folder_that_cannot_be_written_to_stops_nobody(kind, tmp_path, caplog):
    known = Tuner(CPU, tmp_path / "gone", "torch 1")
    for _ in range(2):
        note(known, kind(), ONE)
    assert known.known(kind()).next(SIZES, ()) == TWO
    assert "cannot be written" in caplog.text
