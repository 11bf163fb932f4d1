"""Being told to end, at every moment: a clean end, and nothing is lost."""

import os
import signal
import subprocess
import sys

import pytest
from faults import assert_promise_kept, end_worker, enqueue_two_and_stop_at, faulty, outcomes, worker_or_new_one

from models.records.tables import Attempt, Boot
from models.types.exit_status import ExitStatus
from models.types.states import JobState

#: Besides its steps.
PHASES = ("claiming", "encoding", "decoding", "writing", "settling", "settled")


@pytest.fixture(scope="module")
def both(installation):
    """One installation for most tests here: the worker that made up for an end is the next one to be told to end."""
    with faulty(installation) as made:
        yield made


def start_at(nightshift, faults, place):
    """Return a worker that is at that place of the first of two jobs."""
    worker = worker_or_new_one(nightshift)
    worker.forget_log()
    enqueue_two_and_stop_at(place, nightshift, faults)
    faults.wait_until_held(place)
    return worker


def tell(nightshift, worker, number, times=1):
    """Send a signal, the second one when the first has been taken."""
    for done in range(1, times + 1):
        worker.send(number)
        nightshift.wait_until(lambda done=done: worker.log.count(number.name) == done, f"signal {done} to be taken")


def assert_ended(nightshift, worker):
    assert worker.wait() == ExitStatus.DONE
    assert nightshift.rows(Boot)[-1].ended_at is not None
    said = worker.log + worker.output_file.read_text()
    assert "Traceback" not in said, said


def assert_next_worker_makes_all(nightshift, *first):
    nightshift.start_worker()
    assert {job.state for job in nightshift.wait_until_finished()} == {JobState.SUCCEEDED}
    assert outcomes(nightshift)[-2:] == [list(first), ["succeeded"]]
    assert_promise_kept(nightshift)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_one_signal_finishes_the_running_job_and_leaves_the_rest(nightshift, faults, number):
    worker = start_at(nightshift, faults, "step")
    tell(nightshift, worker, number)
    faults.release("step")
    assert_ended(nightshift, worker)
    assert [job.state for job in nightshift.jobs()][-2:] == ["succeeded", "queued"]
    assert_next_worker_makes_all(nightshift, "succeeded")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_two_signals_give_the_job_back_at_its_next_step(nightshift, faults, number):
    worker = start_at(nightshift, faults, "step")
    tell(nightshift, worker, number, times=2)
    faults.release("step")
    assert_ended(nightshift, worker)
    assert [(job.state, job.losses) for job in nightshift.jobs()][-2:] == [("queued", 0), ("queued", 0)]
    attempt = nightshift.rows(Attempt)[-1]
    assert (attempt.outcome, attempt.cause) == ("lost", "stopped")
    assert_next_worker_makes_all(nightshift, "lost", "succeeded")


def test_three_signals_end_a_worker_that_comes_to_no_next_step(nightshift, faults):
    worker = start_at(nightshift, faults, "decoding")
    tell(nightshift, worker, signal.SIGINT, times=2)
    worker.send(signal.SIGINT)
    assert worker.wait() == 128 + signal.SIGINT
    faults.release("decoding")
    assert_next_worker_makes_all(nightshift, "lost", "succeeded")


@pytest.mark.parametrize("place", PHASES)
def test_two_signals_in_any_other_phase_lose_nothing(nightshift, faults, place):
    worker = start_at(nightshift, faults, place)
    tell(nightshift, worker, signal.SIGINT, times=2)
    faults.release(place)
    assert_ended(nightshift, worker)
    nightshift.start_worker()
    assert {job.state for job in nightshift.wait_until_finished()} == {JobState.SUCCEEDED}
    assert_promise_kept(nightshift)


def test_a_worker_without_work_ends_at_once(nightshift):
    worker = nightshift.wait_until_ready(worker_or_new_one(nightshift))
    worker.forget_log()
    tell(nightshift, worker, signal.SIGTERM)
    assert_ended(nightshift, worker)


def test_a_signal_while_loading_ends_when_the_load_does_and_a_second_one_at_once(nightshift, faults):
    end_worker(nightshift)
    nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    for times in (1, 2):
        faults.hold("loading")
        worker = nightshift.start_worker()
        faults.wait_until_held("loading")
        tell(nightshift, worker, signal.SIGTERM, times)
        if times == 1:
            faults.release("loading")
        assert worker.wait() == ExitStatus.DONE
    faults.release("loading")
    assert "Traceback" not in worker.log
    assert_next_worker_makes_all(nightshift, "succeeded")


def test_a_signal_while_redis_is_dead_ends_the_worker(installation, new_server):
    server = new_server()
    server.start()
    with faulty(installation, server.url()) as (nightshift, faults):
        worker = start_at(nightshift, faults, "step")
        server.kill()
        tell(nightshift, worker, signal.SIGTERM)
        faults.release("step")
        assert_ended(nightshift, worker)
        server.start()
        assert_next_worker_makes_all(nightshift, "succeeded")


def test_a_signal_while_redis_is_dead_and_nothing_runs_ends_the_worker(installation, new_server):
    server = new_server()
    server.start()
    with faulty(installation, server.url()) as (nightshift, _):
        worker = nightshift.wait_until_ready(nightshift.start_worker())
        server.kill()
        nightshift.wait_until(lambda: "Trying again" in worker.log, "the worker to miss its server")
        tell(nightshift, worker, signal.SIGTERM)
        assert_ended(nightshift, worker)


@pytest.mark.smoke
def test_a_worker_that_ends_keeps_its_device_until_its_job_is_done(nightshift, faults):
    worker = start_at(nightshift, faults, "step")
    tell(nightshift, worker, signal.SIGTERM)
    second = nightshift.start_worker()
    assert second.wait() == ExitStatus.CANNOT_START
    assert "another worker has the device cpu" in second.log
    faults.release("step")
    assert_ended(nightshift, worker)
    assert outcomes(nightshift)[-2:] == [["succeeded"], []]


@pytest.mark.parametrize("words", [[], ["nohup"]], ids=["python -m celery", "nohup"])
def test_a_terminal_that_closes_ends_a_worker_in_order_unless_it_is_told_to_stay(nightshift, words):
    end_worker(nightshift)
    read_by_nobody, log = os.pipe()
    process = subprocess.Popen(
        [*words, sys.executable, "-m", "celery", "-A", "worker", "worker"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=os.environ | nightshift.environment,
        cwd=nightshift.folder / "cwd",
        start_new_session=True,
    )
    os.close(log)
    os.close(read_by_nobody)
    try:
        nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a red boot"))
        process.send_signal(signal.SIGHUP)
        if words:
            nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a red boot"))
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == ExitStatus.DONE
    finally:
        process.kill()
        process.wait()
    assert nightshift.rows(Boot)[-1].ended_at is not None
    assert_promise_kept(nightshift)
