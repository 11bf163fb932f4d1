"""What goes wrong in a job: its row says so, and the next job runs."""

import hashlib

import pytest
from faults import assert_promise_kept, faulty, outcomes
from PIL import Image

from models.records.tables import Attempt
from models.types.exit_status import ExitStatus
from models.types.states import JobState

OF_THE_INPUT = {
    "ValueError": ("raise ValueError bad value", "unexpected", "ValueError: bad value"),
    "SystemExit": ("raise SystemExit 3", "unexpected", "SystemExit: 3"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", "unexpected", "KeyboardInterrupt: "),
}
PASSING = {
    "MemoryError": ("twice raise MemoryError", "out_of_memory", "out of memory at 128x128"),
    "the device's memory": (
        "twice raise RuntimeError MPS backend out of memory (MPS allocated: 17.90 GB)",
        "out_of_memory",
        "out of memory at 128x128",
    ),
    "the driver": ("raise RuntimeError command buffer exited with error", "driver", "RuntimeError: command buffer"),
}


@pytest.fixture(scope="module")
def both(installation):
    """One installation for all tests here, since most of them leave its worker alive."""
    with faulty(installation) as made:
        yield made


@pytest.fixture(scope="module")
def worker(nightshift):
    """A worker that is past its warm-up, where the faults would strike first."""
    return nightshift.wait_until_ready(nightshift.start_worker())


@pytest.fixture(scope="module")
def nightshift(both):
    return both[0]


@pytest.fixture(scope="module")
def faults(both):
    return both[1]


def start_impatient(nightshift, **variables):
    """Start a worker that takes a step of so many seconds for a hung one; its load takes no more either."""
    return nightshift.start_worker(NIGHTSHIFT_HANG_S="3", **variables)


def digest(nightshift, job):
    # Of the pixels: the file says whose it is, too.
    with Image.open(nightshift.data_dir / job.picture) as picture:
        return hashlib.sha256(picture.tobytes()).hexdigest()


@pytest.mark.parametrize("fault", OF_THE_INPUT)
def test_an_error_of_the_input_fails_its_job_at_once_and_the_next_one_runs(nightshift, faults, worker, fault):
    what, cause, error = OF_THE_INPUT[fault]
    faults.at("decoding", what)
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    failed, made = nightshift.wait_until_finished(batch)
    assert (failed.state, failed.cause, made.state) == (JobState.FAILED, cause, JobState.SUCCEEDED)
    assert failed.error.startswith(error)
    assert outcomes(nightshift, batch) == [["failed"], ["succeeded"]]
    assert worker.status is None
    assert_promise_kept(nightshift)


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_tried_again_later_and_the_next_job_does_not_wait_for_it(
    nightshift, faults, worker, fault
):
    what, cause, error = PASSING[fault]
    faults.at("step", what)
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    tried, made = nightshift.wait_until_finished(batch)
    assert (tried.state, made.state) == (JobState.SUCCEEDED, JobState.SUCCEEDED)
    assert outcomes(nightshift, batch) == [["failed", "succeeded"], ["succeeded"]]
    first = next(row for row in nightshift.rows(Attempt) if row.job_id == tried.id)
    assert first.cause == cause
    assert first.error.startswith(error)
    assert "it is tried again later" in worker.log
    assert_promise_kept(nightshift)


def test_a_fault_that_does_not_pass_fails_the_job_after_its_tries(nightshift, faults, worker):
    faults.at("step", "always raise MemoryError")
    batch = nightshift.enqueue("--prompt", "a red boot")
    (job,) = nightshift.wait_until_finished(batch)
    assert (job.state, job.cause, job.failures) == (JobState.FAILED, "out_of_memory", 2)
    assert outcomes(nightshift, batch) == [["failed"] * 3]
    assert "make it smaller" in job.error
    faults.forget("step")
    assert nightshift.producer("retry", batch).returncode == 0
    (job,) = nightshift.wait_until_finished(batch)
    assert (job.state, job.failures) == (JobState.SUCCEEDED, 0)
    assert_promise_kept(nightshift)


def test_out_of_memory_is_tried_once_more_with_slicing_in_the_same_attempt(nightshift, faults, worker):
    usual = ("--prompt", "a red boot", "--seed", 7)
    (plain,) = nightshift.wait_until_finished(nightshift.enqueue(*usual))
    faults.at("step", "raise RuntimeError MPS backend out of memory")
    batch = nightshift.enqueue(*usual)
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift, batch) == [["succeeded"]]
    assert "out of memory: tried once more with attention slicing (128x128)" in worker.log
    # The slicing is over with the job that needed it.
    (after,) = nightshift.wait_until_finished(nightshift.enqueue(*usual))
    assert digest(nightshift, after) == digest(nightshift, plain)


def test_a_picture_of_nan_fails_its_job_and_no_file_is_written(nightshift, faults, worker):
    faults.at("decoding", "always spoil")
    (failed,) = nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a red boot"))
    assert (failed.state, failed.cause) == (JobState.FAILED, "not_finite")
    faults.forget("decoding")
    (made,) = nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a red boot"))
    assert made.state == JobState.SUCCEEDED
    assert worker.status is None
    assert_promise_kept(nightshift)


def test_all_that_left_the_worker_alive(worker):
    assert worker.stop() == ExitStatus.DONE


@pytest.mark.smoke
def test_a_hung_step_gives_the_job_back_and_ends_the_worker_with_a_status_of_its_own(nightshift, faults):
    worker = nightshift.wait_until_ready(start_impatient(nightshift))
    faults.at("step", "hang")
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    assert worker.wait() == ExitStatus.HUNG
    hung, waiting = nightshift.jobs(batch)
    assert (hung.state, hung.losses, waiting.state) == (JobState.QUEUED, 1, JobState.QUEUED)
    attempt = nightshift.rows(Attempt)[-1]
    assert (attempt.job_id, attempt.outcome, attempt.cause) == (hung.id, "lost", "hung")
    assert "the device hangs; it went back to the queue, and the worker ends itself" in worker.log
    second = nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift, batch) == [["lost", "succeeded"], ["succeeded"]]
    assert_promise_kept(nightshift)
    assert second.stop() == ExitStatus.DONE


def test_a_job_that_hangs_each_time_is_set_aside(nightshift, faults):
    worker = nightshift.wait_until_ready(start_impatient(nightshift, NIGHTSHIFT_QUARANTINE_AFTER="1"))
    faults.at("step", "hang")
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    assert worker.wait() == ExitStatus.HUNG
    second = nightshift.start_worker()
    aside, made = nightshift.wait_until_finished(batch)
    assert (aside.state, made.state) == (JobState.QUARANTINED, JobState.SUCCEEDED)
    assert_promise_kept(nightshift)
    assert second.stop() == ExitStatus.DONE


def test_a_load_that_hangs_ends_the_worker_with_that_status_too(nightshift, faults):
    faults.at("loading", "hang")
    worker = start_impatient(nightshift)
    assert worker.wait() == ExitStatus.HUNG
    assert "the device hangs" in worker.log


def test_a_job_that_takes_too_long_fails_at_its_next_step(nightshift, faults):
    nightshift.wait_until_ready(nightshift.start_worker(NIGHTSHIFT_DEADLINE_S="0.01"))
    (job,) = nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a red boot", "--steps", 200))
    assert (job.state, job.cause) == (JobState.FAILED, "deadline")
    assert "NIGHTSHIFT_DEADLINE_S" in job.error
    assert_promise_kept(nightshift)


def test_a_job_that_takes_many_times_as_long_as_others_of_its_kind_is_tried_again_later(nightshift, faults):
    for worker in nightshift.workers:
        if worker.status is None:
            worker.stop()
    usual = ("--prompt", "a red boot", "--steps", 45)
    # What is "many times" here is less than a step may take.
    nightshift.start_worker(NIGHTSHIFT_DEADLINE_TIMES="0.001", NIGHTSHIFT_HANG_S="2", NIGHTSHIFT_RETRIES="1")
    (first,) = nightshift.wait_until_finished(nightshift.enqueue(*usual))
    assert first.state == JobState.SUCCEEDED
    faults.at("step", "always slow")
    (job,) = nightshift.wait_until_finished(nightshift.enqueue(*usual))
    assert (job.state, job.cause, job.attempts) == (JobState.FAILED, "slow", 2)
    assert "NIGHTSHIFT_DEADLINE_TIMES, give it 2 s" in job.error
    # Of another kind, so it has nobody to be compared with, though it takes as long.
    (other,) = nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a red boot", "--steps", 25))
    faults.forget("step")
    assert other.state == JobState.SUCCEEDED
    assert_promise_kept(nightshift)
