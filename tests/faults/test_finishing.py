"""A picture is saved while the next one is made, and no more than that is taken ahead."""

import signal

import pytest
from faults import assert_promise_kept, faulty, messages_in, outcomes, wait_for_looks

from models.records.tables import Job
from models.types.exit_status import ExitStatus
from models.types.states import JobState


@pytest.fixture
def own_server(new_server):
    server = new_server()
    server.start()
    return server


@pytest.fixture
def both(installation, own_server):
    with faulty(installation, own_server.url()) as made:
        yield made


@pytest.fixture
def states(nightshift):
    return lambda: [job.state for job in nightshift.jobs()]


def hold_the_first_at_writing_and_the_second_at_its_step(nightshift, faults, jobs):
    """Return a worker whose finisher has the first of so many jobs, and whose device the second."""
    faults.hold("step")
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", jobs, "--steps", 1)
    worker = nightshift.start_worker()
    faults.wait_until_held("step")
    faults.hold("writing")
    faults.hold("step")
    faults.release("step")
    faults.wait_until_held("writing")
    faults.wait_until_held("step")
    return worker, batch


def test_the_device_makes_the_next_picture_while_one_is_saved_and_then_waits(nightshift, faults, own_server, states):
    _, batch = hold_the_first_at_writing_and_the_second_at_its_step(nightshift, faults, 4)
    assert states() == [JobState.RUNNING, JobState.RUNNING, JobState.QUEUED, JobState.QUEUED]
    faults.hold("step")
    faults.release("step")
    # Two pictures are in memory now: the device begins no third, and the worker takes no message that another could
    # have.
    wait_for_looks(nightshift, 5)
    assert not faults.held("step")
    assert states() == [JobState.RUNNING, JobState.RUNNING, JobState.QUEUED, JobState.QUEUED]
    assert messages_in(own_server) == 2
    faults.forget("step")
    faults.release("writing")
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift) == [["succeeded"]] * 4
    assert_promise_kept(nightshift)


def test_a_kill_is_a_loss_of_the_job_that_was_being_made_and_not_of_the_one_that_was_saved(nightshift, faults):
    worker, batch = hold_the_first_at_writing_and_the_second_at_its_step(nightshift, faults, 2)
    worker.kill()
    faults.clear()
    nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift) == [["lost", "succeeded"]] * 2
    assert [job.losses for job in nightshift.rows(Job)] == [0, 1]
    assert_promise_kept(nightshift)


@pytest.mark.smoke
def test_a_worker_that_is_told_to_end_finishes_what_it_saves_and_what_it_makes(nightshift, faults):
    worker, _ = hold_the_first_at_writing_and_the_second_at_its_step(nightshift, faults, 3)
    worker.send(signal.SIGTERM)
    faults.release("step")
    faults.release("writing")
    assert worker.wait() == 0
    assert outcomes(nightshift) == [["succeeded"], ["succeeded"], []]


@pytest.fixture
def one_in_hand(nightshift, faults, own_server):
    """A worker that decodes one picture, and has taken the next and last message meanwhile."""
    faults.hold("decoding")
    nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    worker = nightshift.start_worker()
    faults.wait_until_held("decoding")
    nightshift.wait_until(lambda: messages_in(own_server) == 0, "the next message to be taken")
    return worker


def test_the_message_that_a_worker_has_taken_ahead_is_not_taken_for_lost(
    nightshift, faults, own_server, states, one_in_hand
):
    wait_for_looks(nightshift, 20)
    assert states() == [JobState.RUNNING, JobState.QUEUED]
    assert messages_in(own_server) == 0
    faults.release("decoding")
    nightshift.wait_until_finished()
    assert "published" not in one_in_hand.log
    assert outcomes(nightshift) == [["succeeded"]] * 2


def test_a_worker_that_is_told_to_end_leaves_the_message_that_it_has_taken_ahead_on_the_queue(
    nightshift, faults, own_server, states, one_in_hand
):
    one_in_hand.send(signal.SIGTERM)
    nightshift.wait_until(lambda: "SIGTERM:" in one_in_hand.log, "the worker to be told")
    faults.release("decoding")
    assert one_in_hand.wait() == 0
    assert states() == [JobState.SUCCEEDED, JobState.QUEUED]
    assert messages_in(own_server) == 1
    nightshift.start_worker()
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["succeeded"]] * 2


def test_a_worker_that_is_killed_with_a_message_in_hand_leaves_a_job_that_the_next_one_finds(
    nightshift, faults, own_server, one_in_hand
):
    one_in_hand.kill()
    faults.clear()
    nightshift.start_worker()
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["lost", "succeeded"], ["succeeded"]]
    assert_promise_kept(nightshift)


def test_an_error_that_nobody_foresaw_beside_the_device_ends_the_worker_and_costs_the_next_job_nothing(
    nightshift, faults
):
    # Once when the picture is settled, and once when that very error is.
    faults.at("settling", "twice raise KeyError odd")
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    worker = nightshift.start_worker()
    assert worker.wait() == ExitStatus.DATABASE
    assert "job 1: KeyError: 'odd'; the worker stops, and its next start sees to it" in worker.log
    nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    first, second = outcomes(nightshift)
    assert (first, second[-1]) == (["lost", "succeeded"], "succeeded")
    assert_promise_kept(nightshift)
