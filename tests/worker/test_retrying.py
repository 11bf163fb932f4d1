"""Waiting for what a person mends: what is said of it, how often, and to whom."""

import threading

import pytest

from models.types.errors import CheckpointError, DatabaseBusyError, DatabaseError, StorageError
from worker.care import retrying as retrying_module
from worker.care.retrying import Retrier


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self):
        self.s = 1000.0

    def monotonic(self):
        return self.s

    def wait(self, seconds):
        self.s += seconds


class Told:
    def __init__(self):
        self.asked = threading.Event()


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(retrying_module, "time", made)
    return made


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def retrier(told):
    return Retrier(told)


def failing(error, clock, until_s):
    """Return what raises until the clock is so far."""

    def action():
        if clock.s < until_s:
            raise error
        return "done"

    return action


@pytest.mark.parametrize("error", [StorageError("no room: free some"), DatabaseError("locked: see who")])
def test_it_says_once_a_minute_what_it_waits_for_and_what_to_do(retrier, clock, caplog, error):
    caplog.set_level("INFO", "nightshift")
    assert retrier.until_done(failing(error, clock, clock.s + 600), clock.wait) == "done"
    said = [record.message for record in caplog.records]
    assert said[-1] == "it works again"
    assert set(said[:-1]) == {f"{error}; the worker waits and tries again"}
    # Within a minute of waiting there is a line, and in none are there two.
    assert 8 <= len(said[:-1]) <= 11


def test_what_works_at_once_is_not_spoken_of(retrier, caplog):
    caplog.set_level("INFO", "nightshift")
    assert retrier.until_done(lambda: 7) == 7
    assert caplog.records == []


def test_status_is_told_once_and_when_it_is_over(retrier, clock):
    notes = []
    retrier.tell(notes.append)
    retrier.until_done(failing(StorageError("no room"), clock, clock.s + 100), clock.wait)
    assert notes == ["no room", None]


def test_a_database_is_not_asked_to_note_that_it_takes_nothing(retrier, clock):
    notes = []
    retrier.tell(notes.append)
    retrier.until_done(failing(DatabaseError("locked"), clock, clock.s + 100), clock.wait)
    assert notes == []


def test_it_is_known_to_wait_while_it_does(retrier, clock):
    seen = []

    def wait(seconds):
        seen.append(retrier.waiting)
        clock.wait(seconds)

    retrier.until_done(failing(StorageError("no room"), clock, clock.s + 100), wait)
    assert set(seen) == {True}
    assert not retrier.waiting


def test_what_two_threads_wait_for_is_said_once_and_is_over_when_both_are(retrier, clock, caplog):
    caplog.set_level("INFO", "nightshift")
    done = threading.Event()
    error = DatabaseError("locked")

    def other():
        if not done.is_set():
            raise error

    def wait(_seconds):
        if threading.current_thread() is first:
            done.wait()
            return
        seen.append(retrier.waiting)
        clock.wait(1000)

    seen: list[bool] = []
    first = threading.Thread(target=lambda: retrier.until_done(other, wait))
    first.start()
    while not retrier.waiting:
        first.join(0.01)
    retrier.until_done(failing(error, clock, clock.s + 1), wait)
    assert retrier.waiting
    done.set()
    first.join()
    assert not retrier.waiting
    assert seen == [True]
    said = [record.message for record in caplog.records]
    assert said == ["locked; the worker waits and tries again", "it works again"]


def test_other_errors_are_not_waited_out(retrier):
    with pytest.raises(CheckpointError):
        retrier.until_done(failing(CheckpointError("gone"), Clock(), 10**6))


def test_at_the_start_only_a_busy_database_is_waited_for(retrier, clock, told):
    with pytest.raises(DatabaseError, match="of a newer version"):
        retrier.until_free(failing(DatabaseError("of a newer version"), clock, 10**6))
    told.asked.set()
    with pytest.raises(DatabaseBusyError):
        retrier.until_free(failing(DatabaseBusyError("locked"), clock, 10**6))


def test_who_is_told_to_end_waits_no_longer(retrier, clock, told):
    def wait(seconds):
        clock.wait(seconds)
        told.asked.set()

    with pytest.raises(StorageError):
        retrier.until_done(failing(StorageError("no room"), clock, 10**6), wait)
    assert clock.s < 1060
