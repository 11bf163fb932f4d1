"""A worker that can open no file for a while waits for it: nothing is failed, lost or made twice, and nobody ends."""

import signal
import sys

import pytest
from faults import assert_promise_kept, faulty, no_file_handle, outcomes

from models.records.tables import Boot
from models.types.exit_status import ExitStatus
from models.types.states import JobState

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes a limit away from another process")
#: Looks after the queue; each takes six seconds where nothing can be opened.
AWHILE = 1


@pytest.fixture
def own_server(new_server):
    made = new_server(append_only=True)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def both(installation, own_server):
    with faulty(installation, own_server.url(), NIGHTSHIFT_LOG_LEVEL="DEBUG") as made:
        yield made


@pytest.fixture
def worker(nightshift):
    return nightshift.wait_until_ready(nightshift.start_worker())


def wait_awhile(nightshift, worker):
    nightshift.wait_until(lambda: worker.log.count("not looked after now") >= AWHILE, "so many looks to fail")


def enqueue_and_wait_for_the_first(nightshift, *options):
    batch = nightshift.enqueue("--prompt", "a red boot", *(options or ("--count", 16)))
    nightshift.wait_until(lambda: JobState.SUCCEEDED in [job.state for job in nightshift.jobs(batch)], "a picture")
    return batch


def assert_each_made_in_its_first_attempt(nightshift, batch):
    assert {job.state for job in nightshift.wait_until_finished(batch)} == {JobState.SUCCEEDED}
    assert {tuple(found) for found in outcomes(nightshift, batch)} == {("succeeded",)}


def assert_it_went_on(nightshift, worker):
    assert worker.status is None
    assert len(nightshift.rows(Boot)) == 1
    assert "Traceback" not in worker.log
    assert_promise_kept(nightshift)


def test_a_worker_at_work_waits_and_says_so(nightshift, worker):
    batch = enqueue_and_wait_for_the_first(nightshift)
    with no_file_handle(worker):
        nightshift.wait_until(lambda: "no file can be opened" in worker.log, "the worker to say so")
        said = nightshift.wait_until(lambda: nightshift.rows(Boot)[-1].waiting_for, "the worker to note it")
        assert "Too many open files" in said
        wait_awhile(nightshift, worker)
        assert JobState.QUEUED in {job.state for job in nightshift.jobs(batch)}
    assert_each_made_in_its_first_attempt(nightshift, batch)
    assert_it_went_on(nightshift, worker)


def test_a_worker_that_has_nothing_to_do_lasts(nightshift, worker):
    nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a blue boot"))
    with no_file_handle(worker):
        wait_awhile(nightshift, worker)
        batch = nightshift.enqueue("--prompt", "a red boot")
        nightshift.wait_until(lambda: "no file can be opened" in worker.log, "the worker to say so")
    assert_each_made_in_its_first_attempt(nightshift, batch)
    assert_it_went_on(nightshift, worker)


def test_an_idle_worker_whose_link_to_redis_breaks_meanwhile_begins_anew_later(nightshift, own_server):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    enqueue_and_wait_for_the_first(nightshift, "--count", 1)
    with no_file_handle(worker):
        own_server.kill()
        own_server.start()
        nightshift.wait_until(lambda: "the worker cannot go on" in worker.log, "the worker to give its link up")
        assert worker.log.count("ready for jobs") == 1
    nightshift.wait_until(lambda: worker.log.count("ready for jobs") == 2, "the worker to begin anew")
    nightshift.enqueue("--prompt", "a blue boot")
    assert {job.state for job in nightshift.wait_until_finished()} == {JobState.SUCCEEDED}
    assert {tuple(found) for found in outcomes(nightshift)} == {("succeeded",)}
    assert [boot.ended_at is None for boot in nightshift.rows(Boot)] == [False, True]
    assert worker.stop() == 0
    assert_promise_kept(nightshift)


def test_a_worker_at_work_whose_link_to_redis_breaks_meanwhile_loses_nothing(nightshift, own_server):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    batch = enqueue_and_wait_for_the_first(nightshift)
    with no_file_handle(worker):
        own_server.kill()
        own_server.start()
        nightshift.wait_until(lambda: "no file can be opened" in worker.log, "the worker to say so")
        wait_awhile(nightshift, worker)
    # With all the messages that it may hold in its hands it does not look at its link, and goes on without an end;
    # else it begins anew.
    assert_each_made_in_its_first_attempt(nightshift, batch)
    assert [boot.ended_at is None for boot in nightshift.rows(Boot)] in ([True], [False, True])
    assert worker.stop() == 0
    assert_promise_kept(nightshift)


def test_a_worker_that_can_open_nothing_at_its_start_begins_anew_later(nightshift, faults):
    faults.hold("loading")
    worker = nightshift.start_worker()
    faults.wait_until_held("loading")
    with no_file_handle(worker):
        faults.release("loading")
        nightshift.wait_until(lambda: "the worker cannot go on" in worker.log, "the worker to give up")
    nightshift.wait_until_ready(worker)
    batch = nightshift.enqueue("--prompt", "a red boot")
    assert_each_made_in_its_first_attempt(nightshift, batch)
    assert worker.stop() == 0
    assert_promise_kept(nightshift)


@pytest.mark.smoke
def test_one_that_waits_to_begin_anew_ends_when_it_is_told(nightshift, worker, own_server):
    nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a blue boot"))
    with no_file_handle(worker):
        own_server.kill()
        nightshift.wait_until(lambda: "the worker cannot go on" in worker.log, "the worker to give its link up")
        nightshift.wait_until(lambda: nightshift.rows(Boot)[0].ended_at is not None, "its boot to end")
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0


def test_a_checkpoint_that_cannot_be_opened_fails_no_job(nightshift, faults, worker):
    faults.hold("loading")
    batch = nightshift.enqueue("--prompt", "a red boot", "--checkpoint", "demo", "--count", 2)
    faults.wait_until_held("loading")
    with no_file_handle(worker):
        faults.release("loading")
        nightshift.wait_until(lambda: "no file can be opened" in worker.log, "the worker to say so")
        wait_awhile(nightshift, worker)
    assert {job.state for job in nightshift.wait_until_finished(batch)} == {JobState.SUCCEEDED}
    # Once, however long it lasts: no other job is begun meanwhile.
    assert sorted(outcomes(nightshift, batch)) == [["lost", "succeeded"], ["succeeded"]]
    assert [job.failures for job in nightshift.jobs(batch)] == [0, 0]
    assert_it_went_on(nightshift, worker)


def test_a_worker_that_is_told_to_end_meanwhile_ends_and_the_next_one_goes_on(nightshift, worker):
    batch = enqueue_and_wait_for_the_first(nightshift)
    with no_file_handle(worker):
        nightshift.wait_until(lambda: "no file can be opened" in worker.log, "the worker to say so")
        worker.send(signal.SIGTERM)
        # The picture in its hands could not be written, if there was one.
        assert worker.wait() in (0, ExitStatus.DATABASE)
    assert nightshift.rows(Boot)[-1].ended_at is not None
    nightshift.start_worker()
    assert {job.state for job in nightshift.wait_until_finished(batch)} == {JobState.SUCCEEDED}
    assert_promise_kept(nightshift)
