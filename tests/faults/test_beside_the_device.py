"""What goes wrong beside the device reaches no other attempt: every error, at every place of the finishing thread."""

import signal

import pytest
from faults import assert_promise_kept, enqueue_two_and_stop_at, faulty, locked, messages_in, outcomes

from models.records.tables import Boot
from models.types.exit_status import ExitStatus
from models.types.states import JobState

#: Each of the two is rejected, and made once more.
REJECTED = ("--checks", "fill.least=0.74", "--target", 2, "--replacements", 1)
PLACES = ("writing", "written", "judging", "settling", "settled", "naming", "named", "telling", "publishing")
#: Of the program's own, of Python, and those that end one; what is done about them is told apart by no more.
ERRORS = ("KeyError", "MemoryError", "OSError", "SystemExit", "KeyboardInterrupt")
#: Each place meets two, and each error three places and more.
PAIRS = [(place, ERRORS[(number + shift) % len(ERRORS)]) for number, place in enumerate(PLACES) for shift in (0, 3)]


@pytest.fixture(scope="module")
def both(installation, own_server):
    with faulty(installation, own_server.url(), NIGHTSHIFT_QUARANTINE_AFTER="100") as made:
        yield made


def living(nightshift):
    alive = [worker for worker in nightshift.workers if worker.status is None]
    return alive[0] if alive else nightshift.wait_until_ready(nightshift.start_worker())


@pytest.mark.parametrize(("place", "error"), PAIRS)
def test_the_worker_goes_on_or_leaves_with_its_status_and_every_row_is_right(nightshift, faults, place, error):
    worker = living(nightshift)
    # Not before the queue is paused, since `enqueue` publishes too.
    batch = enqueue_two_and_stop_at(place, nightshift, faults, *REJECTED, what=f"raise {error} odd")
    worker.end_awaited = True
    nightshift.wait_until(
        lambda: (
            worker.status is not None or all(job.state not in ("queued", "running") for job in nightshift.jobs(batch))
        ),
        "the batch or the worker to end",
    )
    assert worker.status in (None, ExitStatus.DATABASE)
    worker = living(nightshift)
    jobs = nightshift.wait_until_finished(batch)
    assert {job.state for job in jobs} <= {JobState.REJECTED, JobState.FAILED}
    # What befell the first picture cost the second one nothing.
    assert outcomes(nightshift, batch)[1][-1] == "succeeded"
    assert all(job.cause == "unexpected" for job in jobs if job.state == JobState.FAILED)
    nightshift.wait_until(lambda: messages_in_or_none(nightshift) == 0, "the queue to be empty")
    assert_promise_kept(nightshift)


def messages_in_or_none(nightshift):
    return 0 if all(job.state != JobState.QUEUED for job in nightshift.jobs()) else None


def test_a_database_that_is_locked_while_a_replacement_is_published_costs_nothing(nightshift, faults, own_server):
    worker = living(nightshift)
    # Else the sweep may publish the replacement while the finishing thread is held, which then has nothing to write.
    faults.at("sweeping", "always raise OSError odd")
    batch = enqueue_two_and_stop_at("publishing", nightshift, faults, *REJECTED)
    faults.wait_until_held("publishing")
    with locked(nightshift):
        faults.release("publishing")
        nightshift.wait_until(lambda: "is done with, but" in worker.log, "publishing to be given up")
    faults.forget("sweeping")
    nightshift.wait_until_finished(batch)
    assert [found[-1] for found in outcomes(nightshift, batch)] == ["succeeded"] * 4
    assert worker.status is None
    nightshift.wait_until(lambda: messages_in(own_server) == 0, "the queue to be empty")
    assert_promise_kept(nightshift)


def test_a_thread_that_cannot_start_ends_the_attempt_and_not_the_job(nightshift, faults):
    worker = living(nightshift)
    faults.at("beating", "raise RuntimeError can't start new thread")
    batch = nightshift.enqueue("--prompt", "a red boot")
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift, batch) == [["lost", "succeeded"]]
    (job,) = nightshift.jobs(batch)
    assert (job.losses, job.failures) == (0, 0)
    assert worker.status is None
    assert_promise_kept(nightshift)


def test_a_process_in_which_none_can_start_leaves_to_be_started_anew(nightshift, faults):
    worker = living(nightshift)
    faults.at("beating", "always raise RuntimeError can't start new thread")
    batch = nightshift.enqueue("--prompt", "a red boot")
    assert worker.wait() == ExitStatus.FAULTY
    faults.forget("beating")
    nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift, batch)[0][-1] == "succeeded"
    assert_promise_kept(nightshift)


def test_what_breaks_while_the_worker_ends_keeps_it_from_nothing_else(nightshift, faults):
    """Its end is noted and its device let go, so that the next worker starts at once."""
    worker = living(nightshift)
    faults.hold("step")
    batch = nightshift.enqueue("--prompt", "a red boot", *REJECTED)
    faults.wait_until_held("step")
    faults.at("publishing", "raise KeyError odd")
    worker.send(signal.SIGTERM)
    faults.release("step")
    assert worker.wait() == 0
    assert nightshift.rows(Boot)[-1].ended_at is not None
    faults.clear()
    nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    assert_promise_kept(nightshift)
