"""A database that cannot be used while a worker starts."""

import subprocess

import pytest
from disks import mounted, root
from faults import assert_promise_kept, locked, outcomes

from models.types.exit_status import ExitStatus


def test_a_worker_that_starts_while_the_database_is_locked_waits_and_goes_on(nightshift):
    batch = nightshift.enqueue("--prompt", "a red boot")
    with locked(nightshift):
        worker = nightshift.start_worker()
        nightshift.wait_until(lambda: "the worker waits and tries again" in worker.log, "it to wait")
        assert "the database " in worker.lines[-1]
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


@pytest.mark.of_sqlite
@pytest.mark.smoke
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
