"""When a process that ended is started again."""

import pytest

from models.types.exit_status import ExitStatus
from producer.local import restarts
from producer.local.restarts import FIRST_PAUSE_S, LONGEST_PAUSE_S, MOST_FAILED_STARTS, Restarts
from producer.local.worker_process import _reason


class Clock:
    def __init__(self):
        self.s = 0.0

    def monotonic(self):
        return self.s


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(restarts, "time", made)
    return made


def ends(policy, clock, *, ready=True, after_s=0.0):
    """Let it live for a while, end, and wait for its pause; return the pause, None if it is not started again."""
    clock.s += after_s
    if not policy.ended(ready=ready):
        return None
    pause = policy.left_s
    clock.s += pause
    assert policy.left_s == 0
    policy.started()
    assert policy.left_s is None
    return pause


def test_the_pause_grows_to_its_bound_and_a_process_that_was_ready_is_never_given_up(clock):
    policy = Restarts()
    pauses = [ends(policy, clock) for _ in range(12)]
    assert pauses[:4] == [FIRST_PAUSE_S * 2**turn for turn in range(4)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S


def test_after_a_long_life_the_pause_is_short_again(clock):
    policy = Restarts()
    for _ in range(6):
        ends(policy, clock)
    assert ends(policy, clock, after_s=LONGEST_PAUSE_S + 1) == FIRST_PAUSE_S


def test_it_is_given_up_when_it_was_not_ready_time_and_again(clock):
    policy = Restarts()
    pauses = [ends(policy, clock, ready=False) for _ in range(MOST_FAILED_STARTS)]
    assert [pause is None for pause in pauses] == [False] * (MOST_FAILED_STARTS - 1) + [True]


def test_being_ready_once_begins_the_count_anew(clock):
    policy = Restarts()
    for _ in range(5):
        for _ in range(MOST_FAILED_STARTS - 1):
            assert ends(policy, clock, ready=False) is not None
        assert ends(policy, clock, ready=True) is not None


@pytest.mark.parametrize("status", [*ExitStatus, -9, 3], ids=str)
def test_each_end_has_its_reason(status):
    said = _reason(int(status))
    assert said == {-9: "SIGKILL ended it", 3: "it ended with status 3"}.get(status, said)
    assert len(said) > 10
