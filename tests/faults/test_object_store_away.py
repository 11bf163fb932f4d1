"""Pictures in an object store that is away, slow to be written to, or holds another's picture already."""

import signal

import pytest
from faults import assert_promise_kept, faulty, outcomes
from freezing import freeze_at

from models.types.exit_status import ExitStatus
from models.types.states import JobState


@pytest.fixture
def both(installation, s3):
    with faulty(installation, **s3.place()) as made:
        yield made


@pytest.fixture
def of_another_host(nightshift, tmp_path):
    """Return what gives a worker locks and a disk of its own."""
    return {"NIGHTSHIFT_DATA_DIR": str(tmp_path), "NIGHTSHIFT_DATABASE_URL": nightshift.database_url}


def held_at(nightshift, faults, place, *options):
    """Return a worker that stands still at that place of a job."""
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    faults.hold(place)
    nightshift.enqueue("--prompt", "a red boot", *options)
    faults.wait_until_held(place)
    return worker


def test_one_that_is_away_is_waited_for_and_no_picture_is_made_twice(nightshift, faults, s3):
    worker = held_at(nightshift, faults, "preparing", "--count", 3)
    with s3.away():
        faults.release("preparing")
        nightshift.wait_until(lambda: "cannot be reached" in worker.log, "the worker to meet it")
        nightshift.wait_until(lambda: "cannot be reached" in nightshift.producer("status").stdout, "status to say so")
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["succeeded"]] * 3
    assert "it works again" in worker.log
    assert_promise_kept(nightshift)


def test_a_worker_starts_once_it_is_there(nightshift, s3):
    nightshift.enqueue("--prompt", "a red boot")
    with s3.away():
        worker = nightshift.start_worker()
        nightshift.wait_until(lambda: "cannot be reached" in worker.log, "the worker to wait")
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["succeeded"]]


def test_a_worker_that_is_told_to_end_meanwhile_ends_and_the_job_is_made_by_the_next(nightshift, faults, s3):
    worker = held_at(nightshift, faults, "preparing")
    with s3.away():
        faults.release("preparing")
        nightshift.wait_until(lambda: "the worker waits and tries again" in worker.log, "the worker to wait")
        assert worker.stop() == ExitStatus.DONE
    nightshift.start_worker()
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["lost", "succeeded"]]
    assert_promise_kept(nightshift)


def test_anothers_picture_that_has_come_meanwhile_stays_and_ours_has_the_next_name(nightshift, faults, s3):
    held_at(nightshift, faults, "preparing")
    bucket, _, prefix = nightshift.environment["NIGHTSHIFT_PICTURES_URL"].removeprefix("s3://").partition("/")
    key = f"{prefix}/pictures/batch-0001/job-00000001.png"
    s3.client.put_object(Bucket=bucket, Key=key, Body=b"another's")
    faults.release("preparing")
    (job,) = nightshift.wait_until_finished()
    assert job.picture == "pictures/batch-0001/job-00000001-2.png"
    assert outcomes(nightshift) == [["succeeded"]]
    assert s3.client.get_object(Bucket=bucket, Key=key)["Body"].read() == b"another's"
    assert nightshift.store.read(job.picture).startswith(b"\x89PNG")


@pytest.mark.parametrize("place", ["preparing", "prepared"])
def test_one_that_comes_too_late_takes_its_own_object_away_and_no_other(nightshift, faults, of_another_host, place):
    late = freeze_at(nightshift, faults, place)
    other = nightshift.start_worker(**of_another_host)
    (job,) = nightshift.wait_until_finished()
    assert (job.state, job.losses) == (JobState.SUCCEEDED, 1)
    content = nightshift.store.read(job.picture)
    late.send(signal.SIGCONT)
    nightshift.wait_until(lambda: "it is no longer this attempt's" in late.log, "the late one to notice")
    assert late.stop() == 0
    assert other.stop() == 0
    assert outcomes(nightshift) == [["lost", "succeeded"]]
    assert [name for _, name in nightshift.store.pictures()] == [job.picture]
    assert nightshift.store.read(job.picture) == content
    assert_promise_kept(nightshift)
