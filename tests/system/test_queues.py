"""Queues by name: a worker takes jobs from its own and from no other, whichever of them looks after all."""

import pytest
from faults import faulty

from models.records.tables import Attempt, Boot
from models.types.states import JobState
from worker.queue.app import KEY_PREFIX


@pytest.fixture
def own_server(new_server):
    server = new_server()
    server.start()
    return server


@pytest.fixture
def both(installation, own_server):
    """Give an installation a server of its own, and heartbeats that a test can wait for."""
    with faulty(installation, own_server.url(), NIGHTSHIFT_HEARTBEAT_S="0.3", NIGHTSHIFT_PICTURES_A_CALL="4") as made:
        yield made


@pytest.fixture
def nightshift(both):
    return both[0]


def makers(nightshift, batch):
    """Return the queues of the workers that made the batch's pictures."""
    boots = {boot.id: tuple(boot.queues) for boot in nightshift.rows(Boot)}
    numbers = {job.id for job in nightshift.jobs(batch)}
    return {boots[row.boot_id] for row in nightshift.rows(Attempt) if row.job_id in numbers}


def lengths(server):
    with server.client() as client:
        return {
            name: sum(client.llen(key) for key in client.scan_iter(f"{KEY_PREFIX}{name}*")) for name in ("jobs", "wide")
        }


def test_each_worker_makes_the_jobs_of_its_queues_alone(nightshift, own_server, elsewhere):
    usual = nightshift.enqueue("--prompt", "a red boot", "--count", 6)
    wide = nightshift.enqueue("--prompt", "a blue boot", "--count", 6, "--queue", "wide")
    assert lengths(own_server) == {"jobs": 6, "wide": 6}
    nightshift.start_worker()
    nightshift.wait_until_finished(usual)
    said = nightshift.producer("status", wide).stdout
    assert "jobs wait on the queue wide, and no worker takes from it" in said
    assert {job.state for job in nightshift.jobs(wide)} == {JobState.QUEUED}
    assert lengths(own_server)["wide"] == 6

    nightshift.start_worker(**elsewhere, NIGHTSHIFT_QUEUES="wide")
    nightshift.wait_until_finished(wide)
    assert "no worker takes" not in nightshift.producer("status", wide).stdout
    assert (makers(nightshift, usual), makers(nightshift, wide)) == ({("jobs",)}, {("wide",)})
    assert len(nightshift.rows(Attempt)) == 12


def test_one_worker_takes_from_several(nightshift):
    usual = nightshift.enqueue_at_once("--prompt", "a red boot", "--count", 9)
    wide = nightshift.enqueue_at_once("--prompt", "a blue boot", "--count", 9, "--queue", "wide")
    worker = nightshift.start_worker(NIGHTSHIFT_QUEUES="wide,jobs")
    for batch in (usual, wide):
        assert {job.state for job in nightshift.wait_until_finished(batch)} == {JobState.SUCCEEDED}
    assert len(nightshift.rows(Attempt)) == 18
    # The messages of those that were made in company are dropped on the queue that they are of.
    assert "message dropped" not in worker.log
    assert "that were not on the queue" not in worker.log
    assert worker.stop() == 0


def test_what_another_queue_lost_is_published_there_by_whoever_looks_after_all(nightshift, own_server, elsewhere):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    wide = nightshift.enqueue("--prompt", "a blue boot", "--count", 3, "--queue", "wide")
    with own_server.client() as client:
        client.delete(*client.scan_iter(f"{KEY_PREFIX}wide*"))
    nightshift.wait_until(lambda: lengths(own_server)["wide"] == 3, "them to be published")
    # Its link to Redis is made anew, and it takes from its own queue alone as before.
    with own_server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a red boot"))
    assert {job.state for job in nightshift.jobs(wide)} == {JobState.QUEUED}
    assert lengths(own_server)["wide"] == 3
    assert worker.log.count("published 3 jobs") == 1
    nightshift.start_worker(**elsewhere, NIGHTSHIFT_QUEUES="wide")
    nightshift.wait_until_finished(wide)
    assert len(nightshift.rows(Attempt)) == 4


def test_a_message_that_names_another_queue_makes_no_job_of_it(nightshift, own_server):
    """What lies on a queue may say anything."""
    wide = nightshift.enqueue("--prompt", "a blue boot", "--queue", "wide")
    with own_server.client() as client:
        (key,) = client.scan_iter(f"{KEY_PREFIX}wide*")
        client.rename(key, key.decode().replace("wide", "jobs"))
    worker = nightshift.start_worker()
    nightshift.wait_until(lambda: "message dropped" in worker.log, "it to be dropped")
    assert {job.state for job in nightshift.jobs(wide)} == {JobState.QUEUED}
    assert nightshift.rows(Attempt) == []


def test_a_cancelled_batch_is_taken_off_its_queue(nightshift, own_server):
    nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    wide = nightshift.enqueue("--prompt", "a blue boot", "--count", 3, "--queue", "wide")
    assert nightshift.producer("cancel", wide).returncode == 0
    assert lengths(own_server) == {"jobs": 2, "wide": 0}


def test_the_first_queue_of_the_settings_is_the_usual_one(nightshift, own_server):
    done = nightshift.producer("enqueue", "--prompt", "a red boot", NIGHTSHIFT_QUEUES="wide,jobs")
    assert done.returncode == 0, done.stderr
    assert lengths(own_server) == {"jobs": 0, "wide": 1}


def test_names_that_are_none_are_refused(nightshift):
    done = nightshift.producer("enqueue", "--prompt", "a shoe", "--queue", "a b")
    assert done.returncode == 2
    assert "letters, digits, dots, dashes and underscores" in done.stderr
    done = nightshift.producer("status", NIGHTSHIFT_QUEUES="a b")
    assert done.returncode == 2
    assert "NIGHTSHIFT_QUEUES" in done.stderr
    done = nightshift.producer("run", "--prompt", "a shoe", "--queue", "wide")
    assert (done.returncode, done.stderr) == (
        2,
        "producer: --queue wide: this worker takes from jobs (NIGHTSHIFT_QUEUES)\n",
    )
