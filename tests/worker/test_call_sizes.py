"""How many pictures a call: gone on to as long as it wins, kept for the next worker, and never what ended one."""

import json

import pytest
import torch

from models.call_sizes import FILE, SIZES, Trials
from worker.engine.devices.cpu import Cpu
from worker.engine.making.call_sizes import CallSizes

CPU = Cpu("cpu", torch.float32)
FAMILY = "StableDiffusion"


@pytest.fixture
def sizes(tmp_path):
    """Return a maker of what a worker of a version knows."""
    return lambda version="torch 1": CallSizes(CPU, tmp_path, version)


def sizes_of_calls(seconds):
    """Return the sizes of the first 40 calls of a device that takes so many seconds."""
    trials, made = Trials(), []
    for _ in range(40):
        made.append(size := trials.next_size())
        trials.note(size, seconds(size, made.count(size)))
    return made


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({1: 10, 2: 7.3, 4: 6.7, 8: 6.2, 16: 5.9}, 16),
        ({1: 10, 2: 9.3, 4: 9.4, 8: 5.0, 16: 5.0}, 2),
        ({1: 10, 2: 9.9, 4: 1, 8: 1, 16: 1}, 1),
        ({1: 10, 2: 20, 4: 1, 8: 1, 16: 1}, 1),
    ],
    ids=["all win", "two win", "too little", "slower"],
)
def test_it_goes_on_as_long_as_a_size_wins_and_stays_there(seconds, best):
    made = sizes_of_calls(lambda size, _: seconds[size])
    assert made[-1] == best
    assert made[:4] == [1, 1, 2, 2]
    # What does not win is looked at four times, since other programs make some calls slow, and then no more.
    beyond = [size for size in SIZES if size > best]
    assert [made.count(size) for size in beyond] == [4, 0, 0, 0][: len(beyond)]


def test_a_slow_moment_does_not_decide():
    """The first two calls of two take twice as long, as beside another program."""
    made = sizes_of_calls(lambda size, number: (2 if size == 2 and number <= 2 else 1) * {1: 10, 2: 7}.get(size, 9))
    assert made[-1] == 2


def test_what_was_found_out_is_there_for_the_next_worker_and_not_for_another_version(sizes, spec):
    first, job = sizes(), spec()
    for size in (1, 1, 2, 2):
        with first.trying(job, FAMILY, size):
            first.note(job, FAMILY, size, 10 / size)
    assert first.known(job, FAMILY).next_size() == 4
    assert sizes().known(job, FAMILY).next_size() == 4
    assert sizes("torch 2").known(job, FAMILY).next_size() == 1


@pytest.mark.parametrize("values", [{"width": 192}, {"guidance": 1.0}, {"scheduler": "Heun"}], ids=str)
def test_another_shape_or_scheduler_is_another_matter(sizes, spec, values):
    known = sizes()
    for _ in range(2):
        known.note(spec(), FAMILY, 1, 1.0)
    assert known.known(spec(prompt="another", seed=5, steps=9), FAMILY).next_size() == 2
    assert known.known(spec(**values), FAMILY).next_size() == 1
    assert known.known(spec(), "another family").next_size() == 1


def test_a_size_that_ended_a_worker_is_never_tried_again_and_is_told_of(sizes, spec, tmp_path, caplog):
    first, job = sizes(), spec()
    for size in (1, 1, 2, 2, 4, 4):
        first.note(job, FAMILY, size, 10 / size)
    with first.trying(job, FAMILY, 8):
        # What the file says now is what a worker that is killed here leaves.
        left = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(left)
    assert sizes().known(job, FAMILY).next_size() == 4
    assert "8 pictures a call are not tried at 128x128" in caplog.text
    assert sizes().known(job, FAMILY).is_settled
    # A call that ended in order has left no mark.
    with first.trying(job, FAMILY, 8):
        pass
    assert sizes().known(job, FAMILY).next_size() == 8


def test_a_call_that_raises_leaves_no_mark(sizes, spec):
    first, job = sizes(), spec()
    for size in (1, 1):
        first.note(job, FAMILY, size, 1.0)
    with pytest.raises(RuntimeError), first.trying(job, FAMILY, 2):
        raise RuntimeError
    assert sizes().known(job, FAMILY).next_size() == 2


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', "[3]", "\x00"], ids=repr)
def test_a_file_that_cannot_be_read_is_found_out_anew(sizes, spec, tmp_path, content):
    (tmp_path / FILE).write_text(content)
    known = sizes()
    assert known.known(spec(), FAMILY).next_size() == 1
    known.note(spec(), FAMILY, 1, 1.0)
    assert json.loads((tmp_path / FILE).read_text())


@pytest.mark.parametrize("part", ["calls", "seconds", "trying", "device"])
@pytest.mark.parametrize("value", [3.5, "x", {"a": 1}, []], ids=repr)
def test_a_row_of_it_that_means_nothing_is_found_out_anew(sizes, spec, tmp_path, part, value):
    first, job = sizes(), spec()
    for _ in range(2):
        first.note(job, FAMILY, 1, 1.0)
    (row,) = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps([row | {part: value}]))
    assert sizes().known(job, FAMILY).next_size() in (1, 2)


def test_a_folder_that_cannot_be_written_to_stops_nobody(spec, tmp_path, caplog):
    known = CallSizes(CPU, tmp_path / "gone", "torch 1")
    known.note(spec(), FAMILY, 1, 1.0)
    known.note(spec(), FAMILY, 1, 1.0)
    assert known.known(spec(), FAMILY).next_size() == 2
    assert "cannot be written" in caplog.text
