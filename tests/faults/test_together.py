"""Faults while several jobs are made in one call: each of them keeps the promise, as it does alone."""

import signal

import pytest
from faults import assert_promise_kept, end_worker, faulty, messages_in, outcomes

from models.records.tables import Attempt
from models.types.exit_status import ExitStatus
from models.types.states import JobState

COUNT = 4


@pytest.fixture(scope="module")
def both(installation, own_server):
    """One installation for all tests here, whose worker makes four at once where as many wait."""
    with faulty(
        installation, own_server.url(), NIGHTSHIFT_PICTURES_A_CALL=f"{COUNT}", NIGHTSHIFT_QUARANTINE_AFTER="3"
    ) as made:
        yield made


@pytest.fixture
def enqueue(nightshift):
    """Return what enqueues jobs, all of which are there before a worker begins one; a new worker begins then."""

    def enqueue(*arguments, count=COUNT):
        end_worker(nightshift)
        return nightshift.enqueue_at_once("--prompt", "a red boot", "--count", count, "--seed", 1, *arguments)

    return enqueue


def attempts(nightshift, batch):
    """Return the attempts of each job of the batch."""
    rows = nightshift.rows(Attempt)
    return [[row for row in rows if row.job_id == job.id] for job in nightshift.jobs(batch)]


def made_by(nightshift, batch):
    """Return in how large a call each picture of the batch was made."""
    return [own[-1].pictures_a_call for own in attempts(nightshift, batch)]


@pytest.mark.smoke
def test_a_worker_killed_in_a_call_loses_none_and_blames_each_once(nightshift, faults, enqueue):
    batch = enqueue()
    faults.hold("step")
    worker = nightshift.start_worker()
    faults.wait_until_held("step")
    assert {job.state for job in nightshift.jobs(batch)} == {JobState.RUNNING}
    worker.kill()
    faults.release("step")
    nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift, batch) == [["lost", "succeeded"]] * COUNT
    assert [job.losses for job in nightshift.jobs(batch)] == [1] * COUNT
    # Each alone: if one took the worker down, the others need not suffer for it again.
    assert made_by(nightshift, batch) == [1] * COUNT
    assert_promise_kept(nightshift)


def test_a_job_that_takes_its_worker_down_is_found_and_the_others_are_made(nightshift, faults, enqueue):
    batch = enqueue()
    jobs = nightshift.jobs(batch)
    place = f"seed-{jobs[2].seed}"
    faults.at(place, "always kill")
    for _ in range(3):
        assert nightshift.start_worker().wait() == -signal.SIGKILL
    faults.forget(place)
    nightshift.start_worker()
    jobs = nightshift.wait_until_finished(batch)
    states = [JobState.SUCCEEDED, JobState.SUCCEEDED, JobState.QUARANTINED, JobState.SUCCEEDED]
    assert [job.state for job in jobs] == states
    assert [job.losses for job in jobs] == [1, 1, 3, 1]
    assert_promise_kept(nightshift)


def test_one_that_is_cancelled_in_a_call_ends_and_the_others_are_made_in_it(nightshift, faults, enqueue):
    batch = enqueue()
    faults.hold("step")
    nightshift.start_worker()
    faults.wait_until_held("step")
    chosen = nightshift.jobs(batch)[1]
    assert nightshift.producer("cancel", "--job", chosen.id).returncode == 0
    asked = nightshift.jobs(batch)[1].heartbeat_at
    nightshift.wait_until(lambda: nightshift.jobs(batch)[1].heartbeat_at > asked, "a sign of life after that")
    faults.release("step")
    jobs = nightshift.wait_until_finished(batch)
    assert [job.state for job in jobs] == ["succeeded", "cancelled", "succeeded", "succeeded"]
    assert made_by(nightshift, batch) == [COUNT, None, COUNT, COUNT]
    assert_promise_kept(nightshift)


def test_a_worker_told_to_end_finishes_the_call_and_begins_no_other(nightshift, faults, enqueue):
    batch = enqueue(count=2 * COUNT)
    faults.hold("step")
    worker = nightshift.start_worker()
    faults.wait_until_held("step")
    worker.send(signal.SIGTERM)
    nightshift.wait_until(lambda: "SIGTERM:" in worker.log, "the worker to be told")
    faults.release("step")
    assert worker.wait() == 0
    assert [job.state for job in nightshift.jobs(batch)] == ["succeeded"] * COUNT + ["queued"] * COUNT
    nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift, batch) == [["succeeded"]] * 2 * COUNT
    assert_promise_kept(nightshift)


def test_a_call_that_hangs_is_given_up_and_each_is_made_alone(nightshift, faults, enqueue):
    batch = enqueue()
    faults.at("step", "hang")
    assert nightshift.start_worker(NIGHTSHIFT_HANG_S="4").wait() == ExitStatus.HUNG
    assert [own[0].cause for own in attempts(nightshift, batch)] == ["hung"] * COUNT
    nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift, batch) == [["lost", "succeeded"]] * COUNT
    assert_promise_kept(nightshift)


def test_as_many_messages_go_as_jobs(nightshift, enqueue, own_server):
    batch = enqueue(count=11)
    worker = nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    assert made_by(nightshift, batch) == [4] * 8 + [2, 2, 1]
    nightshift.wait_until(lambda: messages_in(own_server) == 0, "the queue to be empty")
    assert "dropped" not in worker.log
    # What comes after that has a message of its own.
    later = nightshift.enqueue("--prompt", "a blue boot")
    nightshift.wait_until_finished(later)
    assert worker.status is None
    assert_promise_kept(nightshift)


def test_what_is_lost_of_the_queue_is_told_from_what_was_spent(nightshift, faults, enqueue, own_server):
    """While a call is made, three messages more lie there than jobs wait: four that are lost are seen to be."""
    batch = enqueue(count=3 * COUNT)
    faults.hold("step")
    nightshift.start_worker()
    faults.wait_until_held("step")
    with own_server.client() as client:
        (queue,) = [key for key in client.scan_iter(match="nightshift:jobs*") if client.type(key) == b"list"]
        before = client.llen(queue)
        assert before == 3 * COUNT - 1
        client.ltrim(queue, COUNT, -1)
        nightshift.wait_until(lambda: client.llen(queue) == before, "what was lost to be published again")
    faults.release("step")
    nightshift.wait_until_finished(batch)
    nightshift.wait_until(lambda: messages_in(own_server) == 0, "the queue to be empty")
    assert outcomes(nightshift, batch) == [["succeeded"]] * 3 * COUNT
    assert_promise_kept(nightshift)


def test_one_that_cannot_be_written_is_no_matter_of_the_others(nightshift, faults, enqueue):
    batch = enqueue()
    faults.at("writing", "raise ValueError no such thing")
    nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    assert sorted(map(tuple, outcomes(nightshift, batch))) == [("failed",)] + [("succeeded",)] * (COUNT - 1)
    assert_promise_kept(nightshift)
