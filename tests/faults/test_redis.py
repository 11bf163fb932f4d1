"""What befalls the server of the queue: every job is made, none twice, and the worker lives."""

import signal

import pytest
from faults import assert_all_made_once_by, faulty

from models.types.states import JobState


@pytest.fixture(scope="module")
def own_server(new_server):
    """A server with an append-only file, as `docker compose up redis` has it."""
    made = new_server(append_only=True)
    made.start()
    return made


@pytest.fixture(scope="module")
def both(installation, own_server):
    with faulty(installation, own_server.url()) as made:
        yield made


@pytest.fixture(scope="module")
def nightshift(both):
    return both[0]


@pytest.fixture(scope="module")
def only_worker(nightshift):
    """One worker for all tests here: that it outlasts each of them is what they are about."""
    return nightshift.wait_until_ready(nightshift.start_worker())


@pytest.fixture
def worker(nightshift, only_worker, own_server):
    only_worker.forget_log()
    yield only_worker
    own_server.send(signal.SIGCONT)


@pytest.fixture
def batch(nightshift, faults, worker):
    """Six jobs, the first of which the worker is held at."""
    faults.hold("step")
    name = nightshift.enqueue("--prompt", "a red boot", "--count", 6)
    faults.wait_until_held("step")
    return name


def miss_server(nightshift, worker):
    nightshift.wait_until(lambda: "Trying again" in worker.log, "the worker to miss its server")


def test_killed_and_back_before_the_job_is_done(nightshift, faults, own_server, worker, batch):
    own_server.kill()
    own_server.start()
    faults.release("step")
    assert_all_made_once_by(worker, nightshift)


def test_killed_and_back_after_the_job_is_done(nightshift, faults, own_server, worker, batch):
    own_server.kill()
    faults.release("step")
    nightshift.wait_until(lambda: nightshift.jobs(batch)[0].state == JobState.SUCCEEDED, "the first job to be done")
    miss_server(nightshift, worker)
    own_server.start()
    assert_all_made_once_by(worker, nightshift)


def test_killed_three_times_in_a_batch(nightshift, faults, own_server, worker, batch):
    for _ in range(3):
        own_server.kill()
        own_server.start()
        faults.release("step")
        faults.hold("step")
        faults.wait_until_held("step")
    faults.release("step")
    assert_all_made_once_by(worker, nightshift)


def test_back_without_anything(nightshift, faults, own_server, worker, batch):
    with own_server.client() as client:
        client.flushall()
    faults.release("step")
    assert_all_made_once_by(worker, nightshift)


@pytest.mark.smoke
def test_links_cut_in_the_middle_of_a_job(nightshift, faults, own_server, worker, batch):
    with own_server.client() as client:
        assert client.client_kill_filter(_type="normal", skipme=True) > 0
    faults.release("step")
    assert_all_made_once_by(worker, nightshift)


def test_links_cut_ten_times_while_jobs_are_made(nightshift, faults, own_server, worker, batch):
    with own_server.client() as client:
        for _ in range(10):
            faults.release("step")
            faults.hold("step")
            faults.wait_until_held("step")
            client.client_kill_filter(_type="normal", skipme=True)
    faults.release("step")
    assert_all_made_once_by(worker, nightshift)


def test_frozen_while_a_job_is_made(nightshift, faults, own_server, worker, batch):
    own_server.send(signal.SIGSTOP)
    faults.release("step")
    nightshift.wait_until(lambda: nightshift.jobs(batch)[0].state == JobState.SUCCEEDED, "the first job to be done")
    own_server.send(signal.SIGCONT)
    assert_all_made_once_by(worker, nightshift)


def test_frozen_until_the_acknowledgement_of_a_job_times_out(nightshift, faults, own_server, worker, batch):
    own_server.send(signal.SIGSTOP)
    faults.release("step")
    # kombu's own looks at Redis may time out one after another before it comes to that.
    nightshift.wait_until(lambda: "Couldn't ack" in worker.log, "the acknowledgement to time out", patience_s=240)
    own_server.send(signal.SIGCONT)
    assert_all_made_once_by(worker, nightshift)
    with own_server.client() as client:
        nightshift.wait_until(lambda: client.hlen("nightshift:unacked") == 0, "Redis to note no message as taken")


def test_an_acknowledgement_that_fails_holds_no_place_and_is_made_up_for(nightshift, faults, own_server, worker):
    faults.at("acknowledging", "raise TimeoutError no answer")
    nightshift.enqueue("--prompt", "a red boot", "--count", 3)
    assert_all_made_once_by(worker, nightshift)
    assert worker.log.count("Couldn't ack") == 1
    with own_server.client() as client:
        nightshift.wait_until(lambda: client.hlen("nightshift:unacked") == 0, "Redis to note no message as taken")


def test_frozen_while_nothing_waits(nightshift, own_server, worker):
    with own_server.client() as client:
        nightshift.wait_until(
            lambda: "brpop" in [other["cmd"] for other in client.client_list()], "the worker to listen to its queue"
        )
    own_server.send(signal.SIGSTOP)
    nightshift.wait_until(lambda: "ERROR" in worker.log, "the worker to miss its server")
    own_server.send(signal.SIGCONT)
    nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    assert_all_made_once_by(worker, nightshift)


def test_full(nightshift, faults, own_server, worker, batch):
    with own_server.client() as client:
        client.config_set("maxmemory", 1)
        faults.release("step")
        nightshift.wait_until(
            lambda: nightshift.jobs(batch)[1].state == JobState.SUCCEEDED, "the next job to be done too"
        )
        refused = nightshift.producer("enqueue", "--prompt", "a blue boot")
        assert refused.returncode == 1
        assert "is full: raise its maxmemory" in refused.stderr
        assert "Nothing is lost" in refused.stderr
        client.config_set("maxmemory", 0)
    assert_all_made_once_by(worker, nightshift)
    assert [job.prompt for job in nightshift.jobs()].count("a blue boot") == 1


def test_a_server_that_starts_after_the_worker(installation, new_server):
    own_server = new_server()
    with faulty(installation, own_server.url()) as (nightshift, _):
        refused = nightshift.producer("enqueue", "--prompt", "a red boot", "--count", 2)
        assert refused.returncode == 1
        worker = nightshift.start_worker()
        miss_server(nightshift, worker)
        own_server.start()
        assert_all_made_once_by(worker, nightshift)
