"""What Redis lost and what another worker left is taken up again by a worker that lives."""

import pytest
from faults import faulty, outcomes

from models.states import JobState
from models.tables import Attempt

#: Steps enough that the worker is at a job for a while.
LONG = ("--steps", 120)


@pytest.fixture
def nightshift(installation, new_server):
    server = new_server()
    server.start()
    with installation(server.url(0), NIGHTSHIFT_HEARTBEAT_S="0.2", NIGHTSHIFT_STALL_S="1") as made:
        made.server = server
        yield made


def assert_made_once(nightshift, batch):
    jobs = nightshift.wait_until_finished(batch)
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    made = [row.job_id for row in nightshift.rows(Attempt) if row.outcome == "succeeded"]
    assert sorted(made) == [job.id for job in nightshift.jobs()]
    assert all((nightshift.data_dir / job.picture).is_file() for job in jobs)


def test_a_queue_that_was_emptied_fills_again_by_itself(nightshift):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 5, *LONG)
    nightshift.wait_until_running(batch)
    with nightshift.server.client() as client:
        client.flushall()
    assert_made_once(nightshift, batch)
    assert "published 4 jobs that were not on the queue" in worker.log


def test_jobs_that_were_recorded_while_redis_was_away_are_published_by_the_worker(nightshift):
    nightshift.wait_until_ready(nightshift.start_worker())
    nowhere = nightshift.producer("enqueue", "--prompt", "a shoe", NIGHTSHIFT_BROKER_URL="redis://127.0.0.1:1/0")
    assert nowhere.returncode == 1
    assert_made_once(nightshift, "prompt-1")


def test_a_queue_that_holds_its_messages_is_left_alone(installation, new_server):
    server = new_server()
    server.start()
    with faulty(installation, server.url()) as (nightshift, faults):
        worker = nightshift.wait_until_ready(nightshift.start_worker())
        faults.hold("step")
        batch = nightshift.enqueue("--prompt", "a red boot", "--count", 4)
        faults.wait_until_held("step")
        seen = worker.log
        # Signs of life come as often as looks at the queue do.
        beats = set()

        def beat():
            beats.add(nightshift.jobs(batch)[0].heartbeat_at)
            return len(beats) > 12

        nightshift.wait_until(beat, "twelve signs of life")
        assert worker.log == seen
        faults.release("step")
        nightshift.wait_until_finished(batch)
        assert outcomes(nightshift) == [["succeeded"]] * 4
