"""A device that does not do what it is told, and says nothing of it: what comes of that is never a success."""

import hashlib

import pytest
from faults import assert_promise_kept, end_worker, faulty, outcomes, worker_or_new_one

from models.records.tables import Attempt, Boot
from models.types.exit_status import ExitStatus
from models.types.states import JobState

SHOE = ("--prompt", "a red boot", "--steps", 6)


@pytest.fixture(scope="module")
def both(installation):
    with faulty(installation, NIGHTSHIFT_DEVICE="mps", STAND_IN="0", NIGHTSHIFT_HANG_S="4") as made:
        yield made


@pytest.fixture(scope="module")
def nightshift(both):
    return both[0]


@pytest.fixture(scope="module")
def faults(both):
    return both[1]


def start(nightshift):
    """Return a worker that is past its warm-up: the one that the test before has left alive, if it has."""
    return nightshift.wait_until_ready(worker_or_new_one(nightshift))


def go_on(nightshift, batch, *expected):
    """Have the next worker make the rest."""
    worker = nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift, batch) == list(expected)
    assert_promise_kept(nightshift)
    assert worker.status is None


@pytest.mark.parametrize(
    ("place", "how", "said"),
    [
        ("computing", "stale", "the device no longer computes: "),
        (
            "computing",
            "raise RuntimeError CUDA error: an illegal memory access",
            "the device no longer computes: CUDA err",
        ),
        ("decoding", "stale", "the picture is the last one's, pixel by pixel, for another prompt"),
        ("decoding", "blank", "all pixels of the picture are (128, 128, 128)"),
    ],
)
def test_a_picture_that_the_device_did_not_make_goes_back_and_a_new_worker_makes_it(
    nightshift, faults, place, how, said
):
    worker = start(nightshift)
    nightshift.wait_until_finished(nightshift.enqueue(*SHOE))
    faults.at(place, how)
    batch = nightshift.enqueue(*SHOE, "--count", 2)
    assert worker.wait() == ExitStatus.DEVICE
    first, second = nightshift.jobs(batch)
    assert (first.state, first.losses, first.picture) == (JobState.QUEUED, 1, None)
    assert (second.state, second.losses) == (JobState.QUEUED, 0)
    attempt = nightshift.rows(Attempt)[-1]
    assert (attempt.job_id, attempt.outcome, attempt.cause, attempt.total_s) == (first.id, "lost", "device", None)
    assert said in attempt.error
    assert said in worker.log
    go_on(nightshift, batch, ["lost", "succeeded"], ["succeeded"])


def test_the_same_picture_for_the_same_tokens_is_no_fault(nightshift):
    worker = start(nightshift)
    names = [nightshift.enqueue("--prompt", text, "--steps", 6, "--seed", 7) for text in ("a red boot", "A  red BOOT")]
    jobs = [nightshift.wait_until_finished(name)[0] for name in names]
    pixels = {hashlib.sha256((nightshift.data_dir / job.picture).read_bytes()[-2000:]).digest() for job in jobs}
    assert len(pixels) == 1
    assert [outcomes(nightshift, name) for name in names] == [[["succeeded"]]] * 2
    assert worker.status is None


def test_a_job_whose_picture_is_of_one_value_each_time_is_set_aside(nightshift, faults):
    end_worker(nightshift)
    faults.at("decoding", "always blank")
    batch = nightshift.enqueue(*SHOE)
    for _ in range(3):
        assert nightshift.start_worker().wait() == ExitStatus.DEVICE
    assert [job.state for job in nightshift.jobs(batch)] == [JobState.QUARANTINED]
    faults.forget("decoding")
    go_on(nightshift, nightshift.enqueue(*SHOE), ["succeeded"])


def test_an_error_of_a_device_that_no_longer_computes_is_not_the_jobs(nightshift, faults):
    worker = start(nightshift)
    faults.at("step", "raise RuntimeError CUDA error: device-side assert triggered")
    faults.at("computing", "raise RuntimeError CUDA error: device-side assert triggered")
    batch = nightshift.enqueue(*SHOE)
    assert worker.wait() == ExitStatus.DEVICE
    go_on(nightshift, batch, ["lost", "succeeded"])


def test_an_error_of_a_device_that_computes_is_the_jobs(nightshift, faults):
    worker = start(nightshift)
    faults.at("step", "raise ValueError bad")
    (job,) = nightshift.wait_until_finished(nightshift.enqueue(*SHOE))
    assert (job.state, job.cause) == (JobState.FAILED, "unexpected")
    assert worker.status is None


def test_nan_after_denoising_is_denoised_once_more(nightshift, faults):
    worker = start(nightshift)
    faults.at("denoised", "spoil")
    batch = nightshift.enqueue(*SHOE)
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift, batch) == [["succeeded"]]
    attempt = nightshift.rows(Attempt)[-1]
    assert (attempt.made_again, attempt.cold) == (True, True)
    assert "NaN or infinity: tried once more with empty caches" in worker.log

    faults.at("denoised", "twice spoil")
    (job,) = nightshift.wait_until_finished(nightshift.enqueue(*SHOE))
    assert (job.state, job.cause, job.attempts) == (JobState.FAILED, "not_finite", 1)
    assert "NaN or infinity after denoising" in job.error
    assert worker.status is None


@pytest.mark.smoke
@pytest.mark.parametrize(
    "said",
    ["Invalid buffer size: 32.00 GiB", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"],
)
def test_a_lack_of_memory_is_known_by_all_its_names(nightshift, faults, said):
    worker = start(nightshift)
    faults.at("step", f"raise RuntimeError {said}")
    batch = nightshift.enqueue(*SHOE)
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift, batch) == [["succeeded"]]
    assert nightshift.rows(Attempt)[-1].made_again
    assert worker.status is None


def test_a_device_that_is_never_done_counts_as_hung(nightshift, faults):
    worker = start(nightshift)
    faults.at("synchronising", "hang")
    batch = nightshift.enqueue(*SHOE)
    assert worker.wait() == ExitStatus.HUNG
    go_on(nightshift, batch, ["lost", "succeeded"])


def test_a_worker_whose_device_does_not_compute_takes_no_job(nightshift, faults):
    end_worker(nightshift)
    faults.at("computing", "stale")
    batch = nightshift.enqueue(*SHOE)
    worker = nightshift.start_worker()
    assert worker.wait() == ExitStatus.DEVICE
    assert "the worker cannot start: the device no longer computes" in worker.log
    boot = nightshift.rows(Boot)[-1]
    assert (boot.ready_at, boot.ended_at is not None) == (None, True)
    go_on(nightshift, batch, ["succeeded"])


def test_producer_run_starts_a_worker_again_that_left_for_its_device_and_one_that_left_for_failures(installation):
    variables = {"STAND_IN": "0", "NIGHTSHIFT_FAULTS_IN_A_ROW": "2", "NIGHTSHIFT_RETRIES": "0"}
    with faulty(installation, NIGHTSHIFT_DEVICE="mps", **variables) as (nightshift, faults):
        faults.at("step", "twice raise RuntimeError no answer")
        faults.at("decoding", "blank")
        run = nightshift.producer("run", "--prompt", "a red boot", "--count", 3)
        assert run.returncode == 1
        said = [line for line in (run.stdout + run.stderr).splitlines() if "the worker is started again" in line]
        reasons = ["one job after the other failed", "its device did not do what it was told"]
        assert said == [f"the worker is started again: {reason}" for reason in reasons]
        assert outcomes(nightshift) == [["failed"], ["lost", "succeeded"], ["lost", "succeeded"]]
        assert nightshift.left_running() == []
        assert_promise_kept(nightshift)
