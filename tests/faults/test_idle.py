"""A worker that takes nothing although messages wait, while nothing else is wrong."""

from faults import assert_all_made_once_by, wait_for_looks

from models.records.tables import Boot
from models.types.exit_status import ExitStatus


def test_a_worker_that_no_longer_hears_its_queue_connects_anew(nightshift, faults):
    faults.at("listening", "spoil")
    worker = nightshift.wait_until_ready(nightshift.start_worker(NIGHTSHIFT_IDLE_S="1"))
    nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    assert_all_made_once_by(worker, nightshift)
    assert worker.log.count("the worker connects to Redis anew") == 1


def test_a_worker_that_still_hears_nothing_then_ends_with_a_status_of_its_own(nightshift, faults):
    faults.at("listening", "always spoil")
    worker = nightshift.wait_until_ready(nightshift.start_worker(NIGHTSHIFT_IDLE_S="1"))
    nightshift.enqueue("--prompt", "a red boot")
    assert worker.wait() == ExitStatus.IDLE
    assert worker.log.count("the worker connects to Redis anew") == 1
    assert nightshift.rows(Boot)[-1].ended_at is not None
    faults.forget("listening")
    assert_all_made_once_by(nightshift.start_worker(), nightshift)


def test_a_worker_that_has_nothing_to_do_or_is_at_a_long_job_is_not_idle(nightshift, faults):
    worker = nightshift.wait_until_ready(nightshift.start_worker(NIGHTSHIFT_IDLE_S="0.3"))
    wait_for_looks(nightshift, 10)
    faults.hold("step")
    nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    faults.wait_until_held("step")
    wait_for_looks(nightshift, 10)
    faults.release("step")
    assert_all_made_once_by(worker, nightshift)
    assert "idle" not in worker.log
