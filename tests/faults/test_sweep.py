"""What Redis lost and what another worker left is taken up again by a worker that lives."""

import re

import pytest
from faults import faulty, messages_in, outcomes, wait_for_looks
from sqlalchemy import select
from sqlalchemy.orm import make_transient

from models.records.batches import PlannedJob, create_batch
from models.records.claims import claim
from models.records.tables import Attempt, Boot, Job, SweepLease
from models.types.job import JobSpec
from models.types.message import VERSION, JobMessage
from models.types.states import JobState
from worker.queue.app import TASK, make_app

#: It is most about the database.
pytestmark = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True, scope="module")


@pytest.fixture
def own_server(new_server):
    made = new_server()
    made.start()
    return made


@pytest.fixture
def both(installation, own_server):
    with faulty(installation, own_server.url(0)) as made:
        yield made


def assert_made_once(nightshift, batch):
    jobs = nightshift.wait_until_finished(batch)
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    made = [row.job_id for row in nightshift.rows(Attempt) if row.outcome == "succeeded"]
    assert sorted(made) == [job.id for job in nightshift.jobs()]
    assert all((nightshift.data_dir / job.picture).is_file() for job in jobs)


def published_again(worker):
    """Return how many jobs the worker found lost: in two goes where a message was on its way at the first look."""
    return sum(map(int, re.findall(r"published (\d+) jobs that were not on the queue", worker.log)))


def assert_filled_again(nightshift, faults, own_server, worker):
    """The queue is emptied while the worker is at the first of three jobs."""
    faults.hold("step")
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 3)
    faults.wait_until_held("step")
    with own_server.client() as client:
        client.flushall()
    nightshift.wait_until(lambda: published_again(worker) == 2, "the worker to publish them")
    faults.release("step")
    assert_made_once(nightshift, batch)


@pytest.mark.smoke
def test_a_queue_that_was_emptied_fills_again_by_itself(nightshift, faults, own_server):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    assert_filled_again(nightshift, faults, own_server, worker)


def test_a_claim_of_which_its_worker_never_heard_is_no_job_that_runs_for_ever(nightshift):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    checkpoint = nightshift.environment["NIGHTSHIFT_CHECKPOINT"]
    usual = {"steps": 3, "guidance": 7.5, "width": 128, "height": 128, "scheduler": "DDIM"}
    spec = JobSpec(prompt="a red boot", seed=1, checkpoint=checkpoint, **usual)
    with nightshift.database.writing() as session:
        batch = create_batch(session, "unheard", "-", [PlannedJob(spec)], priority=5, digest="0" * 64)
        (job_id,) = session.scalars(select(Job.id).where(Job.batch_id == batch.id))
        message = JobMessage(job=job_id, batch=batch.uid)
        assert claim(session, message, nightshift.rows(Boot)[-1].id)
    assert_made_once(nightshift, "unheard")
    # The claim is put back, and nobody is to blame.
    assert outcomes(nightshift, "unheard") == [["lost", "succeeded"]]
    assert [job.losses for job in nightshift.jobs("unheard")] == [0]
    assert worker.status is None


@pytest.fixture
def newer(own_server, settings):
    """Two messages of a newer version, which go round and round."""
    app = make_app(settings(broker_url=own_server.url()))
    with app:
        for number in range(2):
            app.send_task(TASK, args=[{"version": VERSION + 1, "job": number}], priority=5)


def messages_of_jobs(server):
    """Return all messages that name jobs, each with the list that it is in."""
    with server.client() as client:
        keys = [key for key in client.scan_iter(match="nightshift:jobs*") if client.type(key) == b"list"]
        found = [(key, message) for key in keys for message in client.lrange(key, 0, -1)]
    return [(key, message) for key, message in found if re.search(rb'"id": "[0-9a-f]{32}-\d+"', message)]


def test_what_was_lost_comes_back_whatever_else_lies_on_the_queue(nightshift, faults, own_server, newer):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    faults.hold("step")
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 6)
    faults.wait_until_held("step")
    waiting = messages_of_jobs(own_server)
    with own_server.client() as client:
        for key, message in waiting[:3]:
            client.lrem(key, 1, message)
    nightshift.wait_until(lambda: published_again(worker) == 3, "them to be published")
    wait_for_looks(nightshift, 8)
    # Those and no others, and once.
    assert len(messages_of_jobs(own_server)) == len(waiting)
    assert published_again(worker) == 3
    faults.release("step")
    assert_made_once(nightshift, batch)


def test_what_was_recorded_while_redis_was_away_is_published_whatever_else_lies_on_the_queue(nightshift, newer):
    nightshift.wait_until_ready(nightshift.start_worker())
    nowhere = nightshift.producer("enqueue", "--prompt", "a shoe", NIGHTSHIFT_BROKER_URL="redis://127.0.0.1:1/0")
    assert nowhere.returncode == 1
    assert_made_once(nightshift, "prompt-1")


def test_nothing_is_published_again_that_is_not_lost(nightshift, faults, own_server, newer):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    faults.hold("step")
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 6)
    faults.wait_until_held("step")
    waiting = messages_of_jobs(own_server)
    wait_for_looks(nightshift, 12)
    assert messages_of_jobs(own_server) == waiting
    assert "that were not on the queue" not in worker.log
    faults.release("step")
    assert_made_once(nightshift, batch)


def test_each_of_many_jobs_that_wait_is_published_once(installation, own_server):
    # Three heartbeats are longer than it takes to send a thousand messages, as they are by default.
    with faulty(installation, own_server.url(), NIGHTSHIFT_HEARTBEAT_S="1") as (nightshift, faults):
        nightshift.enqueue("--prompt", "a red boot", "--count", 3_000)
        faults.hold("step")
        worker = nightshift.start_worker()
        faults.wait_until_held("step")
        wait_for_looks(nightshift, 5)
        assert messages_in(own_server) == 2_999
        assert "published" not in worker.log

        with own_server.client() as client:
            client.flushall()
        nightshift.wait_until(lambda: messages_in(own_server) == 2_999, "what was lost to be published again")
        wait_for_looks(nightshift, 5)
        assert messages_in(own_server) == 2_999


def test_a_message_that_a_paused_worker_has_in_hand_is_not_published_again(nightshift, own_server):
    assert nightshift.producer("pause").returncode == 0
    nightshift.enqueue("--prompt", "a red boot")
    worker = nightshift.start_worker()
    nightshift.wait_until(lambda: "the queue is paused" in worker.log, "the worker to take the message")
    wait_for_looks(nightshift, 12)
    assert messages_in(own_server) == 0
    assert nightshift.producer("resume").returncode == 0
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["succeeded"]]
    assert "published" not in worker.log


def test_a_job_that_was_rescued_is_published_at_once_however_many_wait(nightshift, faults, own_server):
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 4)
    faults.hold("step")
    worker = nightshift.start_worker()
    faults.wait_until_held("step")
    # The second job, as a worker of another host leaves it that was killed.
    with nightshift.database.writing() as session:
        gone = session.scalars(select(Boot)).one()
        make_transient(gone)
        gone.id, gone.lock_uid = None, "another"
        session.add(gone)
        session.flush()
        job = session.get_one(Job, nightshift.jobs(batch)[1].id)
        job.state, job.boot_id, job.attempts, job.heartbeat_at = JobState.RUNNING, gone.id, 1, gone.started_at
    nightshift.wait_until(lambda: f"job {job.id}: its worker gave no sign of life" in worker.log, "the rescue")
    wait_for_looks(nightshift, 1)
    # Its old message, its new one, and those of the two others.
    assert messages_in(own_server) == 4
    faults.release("step")
    assert_made_once(nightshift, batch)


@pytest.fixture
def two_workers(nightshift, elsewhere):
    """Two workers on one database, the first of which looks after the queue."""
    first = nightshift.wait_until_ready(nightshift.start_worker())
    nightshift.wait_until(lambda: nightshift.rows(SweepLease), "the first to look after the queue")
    return first, nightshift.wait_until_ready(nightshift.start_worker(**elsewhere))


def test_one_of_two_workers_looks_after_the_queue_and_the_other_one_when_that_is_gone(
    nightshift, faults, own_server, two_workers
):
    first, second = two_workers
    boot, other = nightshift.rows(Boot)
    renewals = set()

    def renewed_often():
        renewals.update((lease.boot_id, lease.renewed_at) for lease in nightshift.rows(SweepLease))
        return len(renewals) > 10

    nightshift.wait_until(renewed_often, "the lease to be renewed")
    assert {holder for holder, _ in renewals} == {boot.id}
    first.kill()
    nightshift.wait_until(lambda: nightshift.rows(SweepLease)[0].boot_id == other.id, "the other one to do so")
    assert_filled_again(nightshift, faults, own_server, second)


def test_what_two_paused_workers_have_in_hand_is_not_published_again(nightshift, own_server, two_workers):
    assert nightshift.producer("pause").returncode == 0
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    for worker in two_workers:
        nightshift.wait_until(lambda worker=worker: "the queue is paused" in worker.log, "each to take a message")
    wait_for_looks(nightshift, 12)
    assert messages_in(own_server) == 0
    assert nightshift.producer("resume").returncode == 0
    assert_made_once(nightshift, batch)
    assert not any("published" in worker.log for worker in two_workers)
