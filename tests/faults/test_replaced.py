"""Rejected pictures are replaced whatever befalls worker and server: no replacement is lost, none comes twice."""

import signal
from collections import Counter

import pytest
from faults import (
    assert_promise_kept,
    end_worker,
    enqueue_two_and_stop_at,
    faulty,
    messages_in,
    outcomes,
    worker_or_new_one,
)

from models.records.tables import Verdict
from models.types.states import JobState

#: Nothing the demo makes fills so much: each of the two is replaced as often as it may be.
HOPELESS = ("--checks", "fill.least=0.74", "--target", 2, "--replacements", 2)


@pytest.fixture(scope="module")
def own_server(new_server):
    made = new_server(append_only=True)
    made.start()
    return made


@pytest.fixture(scope="module")
def both(installation, own_server):
    with faulty(installation, own_server.url(), NIGHTSHIFT_QUARANTINE_AFTER="10") as made:
        yield made


def assert_each_replaced_twice(nightshift, batch):
    jobs = nightshift.wait_until_finished(batch)
    assert {job.state for job in jobs} == {JobState.REJECTED}
    assert [job.replacement for job in jobs].count(0) == 2
    # Two chains of three: who stands in for whom, and nobody for two.
    assert Counter(job.replacement for job in jobs) == {0: 2, 1: 2, 2: 2}
    by_number = {job.id: job for job in jobs}
    for job in jobs:
        if job.replaces is not None:
            assert by_number[job.replaces].replacement == job.replacement - 1
    assert len({job.replaces for job in jobs}) == 5
    assert len({job.seed for job in jobs}) == 6
    judged = Counter(row.job_id for row in nightshift.rows(Verdict))
    assert {number: judged[number] for number in by_number} == dict.fromkeys(by_number, 1)
    assert_promise_kept(nightshift)


@pytest.mark.parametrize("place", ["judging", "writing", "written", "settling", "named", "settled"])
def test_a_worker_killed_there_loses_no_replacement_and_makes_none_twice(nightshift, faults, place):
    batch = enqueue_two_and_stop_at(place, nightshift, faults, *HOPELESS)
    worker = worker_or_new_one(nightshift)
    faults.wait_until_held(place)
    worker.kill()
    faults.release(place)
    nightshift.start_worker()
    assert_each_replaced_twice(nightshift, batch)
    made = [found.count("succeeded") for found in outcomes(nightshift, batch)]
    assert made == [1] * 6


@pytest.mark.smoke
def test_a_worker_killed_before_it_publishes_a_replacement_has_it_published_by_the_next(nightshift, faults):
    nightshift.wait_until_ready(worker_or_new_one(nightshift))
    batch = enqueue_two_and_stop_at("publishing", nightshift, faults, *HOPELESS)
    faults.wait_until_held("publishing")
    end_worker_at_once(nightshift)
    faults.release("publishing")
    (made,) = [job for job in nightshift.jobs(batch) if job.replaces is not None]
    # Whether the look after the queue was faster or not.
    assert made.state == JobState.QUEUED
    nightshift.start_worker()
    assert_each_replaced_twice(nightshift, batch)


def end_worker_at_once(nightshift):
    for worker in nightshift.workers:
        if worker.status is None:
            worker.kill()


def test_a_server_that_is_frozen_while_pictures_are_rejected_gets_every_replacement_once(
    nightshift, faults, own_server
):
    worker = nightshift.wait_until_ready(worker_or_new_one(nightshift))
    batch = enqueue_two_and_stop_at("settling", nightshift, faults, *HOPELESS)
    faults.wait_until_held("settling")
    own_server.send(signal.SIGSTOP)
    faults.release("settling")
    nightshift.wait_until(lambda: "stay in the database" in worker.log, "the worker to miss its server")
    own_server.send(signal.SIGCONT)
    assert_each_replaced_twice(nightshift, batch)
    nightshift.wait_until(lambda: messages_in(own_server) == 0, "the queue to be empty")


def test_a_worker_that_is_told_to_end_leaves_the_rest_to_the_next(nightshift, faults):
    worker = nightshift.wait_until_ready(worker_or_new_one(nightshift))
    batch = enqueue_two_and_stop_at("settling", nightshift, faults, *HOPELESS)
    faults.wait_until_held("settling")
    worker.send(signal.SIGTERM)
    faults.release("settling")
    assert worker.wait() == 0
    assert any(job.state == JobState.QUEUED for job in nightshift.jobs(batch))
    nightshift.start_worker()
    assert_each_replaced_twice(nightshift, batch)
    end_worker(nightshift)


def test_a_duplicate_of_what_another_worker_made_is_found(nightshift, faults):
    twins = ("--prompt", "a red boot", "--prompt", "a red boot", "--seed", 5, "--checks", "duplicates")
    faults.hold("settled")
    batch = nightshift.enqueue(*twins)
    worker = nightshift.start_worker()
    faults.wait_until_held("settled")
    worker.kill()
    faults.release("settled")
    nightshift.start_worker()
    jobs = nightshift.wait_until_finished(batch)
    assert [job.state for job in jobs] == [JobState.SUCCEEDED, JobState.REJECTED]
    assert_promise_kept(nightshift)
