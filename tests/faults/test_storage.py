"""Disk and database: what cannot be written now is waited for, and goes on when it is mended."""

import os
import sqlite3
import subprocess
from contextlib import closing, contextmanager

import pytest
from faults import assert_promise_kept, outcomes
from installation import PATIENCE_S, WorkerProcess

from models.attempts import rescue_stalled, running_elsewhere
from models.exit_status import ExitStatus
from models.states import JobState
from models.tables import Attempt, Boot

root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may mount a disk of a test's own")


@contextmanager
def mounted(folder, *options):
    """Mount a disk of its own on the folder; for root on Linux alone."""
    try:
        done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("needs `mount`")
    if done.returncode:
        pytest.skip(f"may not mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def waiting_for(nightshift):
    return nightshift.rows(Boot)[-1].waiting_for


@pytest.fixture
def worker(nightshift):
    return nightshift.wait_until_ready(nightshift.start_worker())


@root
def test_a_full_disk_is_waited_for_and_the_picture_is_not_made_twice(nightshift, faults, worker):
    folder = nightshift.data_dir / "pictures"
    folder.mkdir()
    with mounted(folder, "-t", "tmpfs", "-o", "size=4096", "tmpfs"):
        batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
        nightshift.wait_until(lambda: waiting_for(nightshift), "the worker to wait for room")
        assert "cannot be written (No space left on device): free some space" in waiting_for(nightshift)
        assert [job.state for job in nightshift.jobs(batch)] == ["running", "queued"]
        faults.hold("naming")
        subprocess.run(["mount", "-o", "remount,size=9m", str(folder)], check=True)
        faults.wait_until_held("naming")
        faults.release("naming")
        nightshift.wait_until_finished(batch)
        assert outcomes(nightshift) == [["succeeded"]] * 2
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
    assert outcomes(nightshift) == [["cancelled"], ["lost", "succeeded"]]
    assert_promise_kept(nightshift)


def test_a_folder_that_is_gone_is_made_again(nightshift, faults, worker):
    faults.hold("naming")
    batch = nightshift.enqueue("--prompt", "a red boot")
    faults.wait_until_held("naming")
    folder = nightshift.data_dir / "pictures"
    folder.rename(nightshift.data_dir / "moved away")
    faults.release("naming")
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift) == [["succeeded"]]
    assert_promise_kept(nightshift)


def test_a_file_in_the_folders_place_is_waited_out(nightshift, faults, worker):
    folder = nightshift.data_dir / "pictures"
    folder.write_text("in the way")
    batch = nightshift.enqueue("--prompt", "a red boot")
    nightshift.wait_until(lambda: waiting_for(nightshift), "the worker to wait for its folder")
    folder.unlink()
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift) == [["succeeded"]]
    assert_promise_kept(nightshift)


def fill(path):
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@contextmanager
def locked(nightshift):
    """Hold the database's write lock, as another program does."""
    with closing(sqlite3.connect(nightshift.data_dir / "nightshift.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize("place", ["encoding", "settling"])
def test_a_locked_database_is_waited_for_and_can_be_read_all_the_while(nightshift, faults, worker, place):
    faults.hold(place)
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    faults.wait_until_held(place)
    with locked(nightshift):
        faults.release(place)
        status = nightshift.read_json("status", batch)
        assert (status["counts"]["running"], status["counts"]["queued"]) == (1, 1)
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift) == [["succeeded"]] * 2
    assert worker.status is None
    assert_promise_kept(nightshift)


def test_status_and_the_bar_say_that_the_database_is_locked_and_then_no_longer(nightshift, faults, worker):
    faults.hold("settling")
    batch = nightshift.enqueue("--prompt", "a red boot")
    faults.wait_until_held("settling")
    says = "workers wait: the database sqlite:///"
    watch = nightshift.start_producer("watch", batch)
    with locked(nightshift):
        faults.release("settling")
        nightshift.wait_until(lambda: says in nightshift.producer("status").stdout, "status to say so")
        status = nightshift.producer("status").stdout
        assert "database is locked. Another program holds it: see what else has it open" in status
        assert "starts one" not in status
        assert "database is locked" in nightshift.read_json("status", batch)["database_trouble"]
    nightshift.wait_until_finished(batch)
    nightshift.wait_until(lambda: says not in nightshift.producer("status").stdout, "status to be content")
    assert watch.communicate(timeout=PATIENCE_S)[0].count("Traceback") == 0
    assert watch.returncode == 0
    assert_promise_kept(nightshift)


def test_a_worker_that_starts_while_the_database_is_locked_waits_and_goes_on(nightshift):
    batch = nightshift.enqueue("--prompt", "a red boot")
    with locked(nightshift):
        worker = nightshift.start_worker()
        nightshift.wait_until(lambda: "database is locked" in worker.log, "the worker to wait")
        assert "the worker waits and tries again" in worker.lines[-1]
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift) == [["succeeded"]]
    assert "it works again" in worker.log


def test_a_worker_that_waits_for_the_database_at_its_start_ends_when_it_is_told_to(nightshift):
    nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    with locked(nightshift):
        worker = nightshift.start_worker()
        nightshift.wait_until(lambda: "the worker waits and tries again" in worker.log, "the worker to wait")
        assert worker.stop() == ExitStatus.DONE
    nightshift.start_worker()
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["succeeded"]] * 2
    assert_promise_kept(nightshift)


def end_with_a_picture_that_cannot_be_recorded(nightshift, faults, end):
    """Return the attempt of one of two jobs whose worker had made the picture when `end` ended it."""
    faults.hold("settling")
    nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    worker = nightshift.start_worker()
    faults.wait_until_held("settling")
    with locked(nightshift):
        faults.release("settling")
        nightshift.wait_until(lambda: "the worker waits and tries again" in worker.log, "the worker to wait")
        end(worker)
    return nightshift.rows(Attempt)[0]


@pytest.mark.parametrize("end", [WorkerProcess.stop, WorkerProcess.kill], ids=["told to end", "killed"])
def test_a_picture_that_the_database_did_not_take_is_recorded_by_the_next_worker(nightshift, faults, end):
    before = end_with_a_picture_that_cannot_be_recorded(nightshift, faults, end)
    assert before.outcome == "running"
    worker = nightshift.start_worker()
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["succeeded"]] * 2
    kept = nightshift.rows(Attempt)[0]
    assert kept.finished_at < nightshift.rows(Boot)[-1].started_at
    assert kept.load_id == 1
    assert kept.total_s > 0
    assert kept.rss_peak_bytes > 0
    assert "recorded 1 pictures that an earlier worker had made" in worker.log
    assert_promise_kept(nightshift)


def test_a_note_that_cannot_be_read_has_its_picture_made_again(nightshift, faults):
    end_with_a_picture_that_cannot_be_recorded(nightshift, faults, WorkerProcess.kill)
    (note,) = nightshift.data_dir.glob("pictures/*/.job-*.json")
    note.write_bytes(note.read_bytes()[:-1])
    nightshift.start_worker()
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["lost", "succeeded"], ["succeeded"]]
    assert_promise_kept(nightshift)


def test_a_picture_is_not_recorded_for_a_job_that_has_gone_to_another_attempt(nightshift, faults):
    end_with_a_picture_that_cannot_be_recorded(nightshift, faults, WorkerProcess.kill)
    with nightshift.database.writing() as session:
        rescue_stalled(session, running_elsewhere(session, boot_id=0), quarantine_after=3)
    nightshift.start_worker()
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["lost", "succeeded"], ["succeeded"]]
    assert_promise_kept(nightshift)


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


@root
def test_a_read_only_database_keeps_the_worker_from_starting_and_it_goes_on_when_mended(nightshift):
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    with mounted(nightshift.data_dir, "--bind", str(nightshift.data_dir)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(nightshift.data_dir)], check=True)
        worker = nightshift.start_worker()
        assert worker.wait() == ExitStatus.CANNOT_START
        (line,) = [line for line in worker.lines if "CRITICAL" in line]
        assert "NIGHTSHIFT_DATA_DIR" in line
    nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift) == [["succeeded"]] * 2
    assert_promise_kept(nightshift)
