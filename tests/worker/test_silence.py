"""How long others have given no sign of life: time in which nobody could write is not counted as theirs."""

import pytest

from worker.care import sweep


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr("worker.care.sweep.time.monotonic", lambda: Clock.now)
    return Clock


@pytest.fixture
def silence():
    return sweep._Silence(limit_s=60, interval_s=5)


def after(clock, seconds):
    clock.now += seconds


def test_what_stays_the_same_for_longer_than_the_limit_is_silent(clock, silence):
    for _ in range(13):
        assert silence.silent(["a"]) == []
        after(clock, 5)
    assert silence.silent(["a"]) == ["a"]


def test_what_changes_is_not(clock, silence):
    for look in range(40):
        assert silence.silent([f"a{look // 3}"]) == []
        after(clock, 5)


@pytest.mark.parametrize("gap_s", [61, 3_600])
def test_a_time_in_which_this_worker_could_not_look_is_none_in_which_others_could_write(clock, silence, gap_s):
    for _ in range(3):
        silence.silent(["a", "b"])
        after(clock, 5)
    after(clock, gap_s)
    assert silence.silent(["a", "b"]) == []
    # One of them gives a sign now that it can, and the other one is found to be gone all the same.
    for _ in range(11):
        after(clock, 5)
        found = silence.silent(["a2", "b"])
    assert found == ["b"]


def test_what_is_seen_again_begins_anew(clock, silence):
    silence.silent(["a"])
    after(clock, 59)
    silence.silent([])
    after(clock, 10)
    assert silence.silent(["a"]) == []
