"""A disk that is full, under the pictures or under the database: waited for, and nothing is made twice."""

import subprocess

import pytest
from disks import fill, mounted, root
from faults import assert_promise_kept, outcomes

from models.records.tables import Boot
from models.types.states import JobState


def waiting_for(nightshift):
    return nightshift.rows(Boot)[-1].waiting_for


@pytest.fixture
def worker(nightshift):
    return nightshift.wait_until_ready(nightshift.start_worker())


@pytest.mark.smoke
@root
def test_a_full_disk_is_waited_for_and_the_picture_is_not_made_twice(nightshift, faults, worker):
    folder = nightshift.data_dir / "pictures"
    folder.mkdir()
    with mounted(folder, "-t", "tmpfs", "-o", "size=4096", "tmpfs"):
        batch = nightshift.enqueue("--prompt", "a red boot", "--count", 3)
        nightshift.wait_until(lambda: waiting_for(nightshift), "the worker to wait for room")
        assert "cannot be written (No space left on device): free some space" in waiting_for(nightshift)
        # One picture waits to be written, and one for that one.
        states = ["running", "running", "queued"]
        nightshift.wait_until(lambda: [job.state for job in nightshift.jobs(batch)] == states, "the worker to stop")
        faults.hold("naming")
        subprocess.run(["mount", "-o", "remount,size=9m", str(folder)], check=True)
        faults.wait_until_held("naming")
        faults.release("naming")
        nightshift.wait_until_finished(batch)
        assert outcomes(nightshift) == [["succeeded"]] * 3
        assert_promise_kept(nightshift)
    assert waiting_for(nightshift) is None
    assert worker.log.count("No space left") == 1


@root
def test_a_job_that_waits_for_room_can_be_cancelled_and_its_worker_ended(nightshift, faults, worker):
    folder = nightshift.data_dir / "pictures"
    folder.mkdir()
    with mounted(folder, "-t", "tmpfs", "-o", "size=4096", "tmpfs"):
        first = nightshift.enqueue("--prompt", "a red boot")
        later = nightshift.enqueue("--prompt", "a blue boot")
        nightshift.wait_until(lambda: waiting_for(nightshift), "the worker to wait for room")
        assert nightshift.producer("cancel", first).returncode == 0
        (job,) = nightshift.wait_until_finished(first)
        assert (job.state, job.picture) == (JobState.CANCELLED, None)
        nightshift.wait_until(lambda: worker.log.count("No space left") == 2, "the worker to wait with the next job")
        assert worker.stop() == 0
        assert [job.state for job in nightshift.jobs(later)] == ["queued"]
    nightshift.start_worker()
    nightshift.wait_until_finished(later)
    assert (outcomes(nightshift, first), outcomes(nightshift, later)) == ([["cancelled"]], [["lost", "succeeded"]])
    assert_promise_kept(nightshift)


@pytest.mark.of_sqlite
@root
def test_a_disk_that_is_full_under_the_database_is_waited_for(nightshift, faults):
    nightshift.data_dir.mkdir()
    with mounted(nightshift.data_dir, "-t", "tmpfs", "-o", "size=16m", "tmpfs"):
        worker = nightshift.wait_until_ready(nightshift.start_worker())
        faults.hold("settling")
        batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
        faults.wait_until_held("settling")
        filler = nightshift.data_dir / "filler"
        with pytest.raises(OSError, match="No space"):
            fill(filler)
        faults.release("settling")
        nightshift.wait_until(lambda: "the worker waits and tries again" in worker.log, "the worker to wait")
        nightshift.wait_until(lambda: "Free some space" in nightshift.producer("status").stdout, "status to say so")
        filler.unlink()
        nightshift.wait_until_finished(batch)
        assert outcomes(nightshift) == [["succeeded"]] * 2
        assert_promise_kept(nightshift)
        assert worker.stop() == 0
        nightshift.database.close()
