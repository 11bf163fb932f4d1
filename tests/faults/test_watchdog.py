"""A step that holds the interpreter: no thread of the worker can notice it, so another process does."""

import signal
import subprocess
import sys

import psutil
import pytest
from faults import assert_promise_kept, faulty, outcomes

from models.types.exit_status import ExitStatus
from models.types.states import JobState

#: A program that is watched with a limit of a second, ten looks of the watchdog, and gives no sign of life.
WATCHED = """
import subprocess, sys
WATCHDOG = "from worker.care.watches import watchdog_process as one; one._LOOK_S = 0.1; one.main()"
watchdog = subprocess.Popen([sys.executable, "-c", WATCHDOG, "1"], stdin=subprocess.PIPE)
print(watchdog.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def both(installation):
    with faulty(installation, NIGHTSHIFT_HANG_S="4") as made:
        yield made


@pytest.fixture
def nightshift(both):
    return both[0]


@pytest.fixture
def faults(both):
    return both[1]


def watchdogs(pid: int) -> list[psutil.Process]:
    return [one for one in psutil.Process(pid).children() if "worker.care.watches.watchdog_process" in one.cmdline()]


def wait_until_gone(nightshift, process: psutil.Process) -> None:
    def gone() -> bool:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE

    nightshift.wait_until(gone, "the watchdog to end with its worker")


def test_the_worker_is_killed_and_the_next_one_goes_on(nightshift, faults):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    [watchdog] = watchdogs(worker.pid)
    faults.at("step", "grip")
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    assert worker.wait() == -signal.SIGKILL
    assert "a step holds the interpreter, and the worker is killed" in worker.log
    wait_until_gone(nightshift, watchdog)
    second = nightshift.start_worker()
    assert {job.state for job in nightshift.wait_until_finished(batch)} == {JobState.SUCCEEDED}
    assert "put back 1 jobs that an earlier worker left running" in second.log
    assert outcomes(nightshift, batch) == [["lost", "succeeded"], ["succeeded"]]
    assert_promise_kept(nightshift)
    [watchdog] = watchdogs(second.pid)
    assert second.stop() == ExitStatus.DONE
    wait_until_gone(nightshift, watchdog)


def test_a_job_that_does_so_each_time_is_set_aside(nightshift, faults):
    faults.at("step", "grip")
    worker = nightshift.wait_until_ready(nightshift.start_worker(NIGHTSHIFT_QUARANTINE_AFTER="1"))
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    assert worker.wait() == -signal.SIGKILL
    nightshift.start_worker(NIGHTSHIFT_QUARANTINE_AFTER="1")
    aside, made = nightshift.wait_until_finished(batch)
    assert (aside.state, made.state) == (JobState.QUARANTINED, JobState.SUCCEEDED)
    assert_promise_kept(nightshift)


def test_a_watchdog_that_goes_away_is_replaced(nightshift, faults):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    [first] = watchdogs(worker.pid)
    first.kill()
    nightshift.wait_until(lambda: "another one takes its place" in worker.log, "the worker to miss its watchdog")
    nightshift.wait_until(lambda: [one.pid for one in watchdogs(worker.pid)] not in ([], [first.pid]), "another one")
    batch = nightshift.enqueue("--prompt", "a red boot")
    assert [job.state for job in nightshift.wait_until_finished(batch)] == [JobState.SUCCEEDED]


@pytest.fixture
def watched():
    """A program with a watchdog that it gives no sign of life, and the watchdog."""
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process, psutil.Process(int(process.stdout.readline()))
    process.kill()
    process.communicate()


def test_a_silent_program_is_killed(watched):
    process, _ = watched
    assert process.wait(60) == -signal.SIGKILL


def test_a_program_that_somebody_has_frozen_is_left_alone(nightshift, watched):
    process, watchdog = watched
    process.send_signal(signal.SIGSTOP)
    # Twice as many as it bears from a silent one.
    looks = watchdog.num_ctx_switches().voluntary + 20
    nightshift.wait_until(lambda: watchdog.num_ctx_switches().voluntary > looks, "the watchdog to look")
    assert process.poll() is None
    assert watchdog.is_running()
    process.send_signal(signal.SIGCONT)
    assert process.wait(60) == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_signals_are_for_the_worker(nightshift, watched, number):
    process, watchdog = watched
    process.send_signal(signal.SIGSTOP)
    nightshift.wait_until(lambda: watchdog.num_ctx_switches().voluntary > 10, "the watchdog to look")
    watchdog.send_signal(number)
    looks = watchdog.num_ctx_switches().voluntary + 3
    nightshift.wait_until(lambda: watchdog.num_ctx_switches().voluntary > looks, "the watchdog to look on")
    assert watchdog.is_running()
