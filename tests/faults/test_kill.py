"""kill -9 of the worker in each phase of a job: the next worker makes it, once."""

import pytest
from faults import assert_promise_kept, end_worker, enqueue_two_and_stop_at, faulty, outcomes, worker_or_new_one

from models.types.states import JobState

#: Where a worker is killed, and whether that costs the job an attempt; from `writing` on it has to do with the store.
PLACES = {
    "claiming": False,
    "switching": True,
    "encoding": True,
    "step": True,
    "decoding": True,
    "writing": True,
    "written": True,
    "preparing": True,
    "prepared": True,
    "settling": True,
    "named": True,
    "settled": True,
}
OF_STORE = list(PLACES)[list(PLACES).index("writing") :]
#: Each place with pictures in a folder, and those that have to do with the store with one of objects too.
EACH = [*(("folder", place) for place in PLACES), *(("objects", place) for place in OF_STORE)]

#: It is most about the database.
pytestmark = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def store():
    return "folder"


@pytest.fixture(scope="module")
def both(installation, store, request):
    """One installation for all tests of a store: the worker that made up for a kill is the next one to be killed."""
    settings = {} if store == "folder" else request.getfixturevalue("s3").place()
    with faulty(installation, NIGHTSHIFT_QUARANTINE_AFTER="10", **settings) as made:
        yield made


def assert_all_made(nightshift, batch):
    jobs = nightshift.wait_until_finished(batch)
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert_promise_kept(nightshift)


def kill_at(nightshift, faults, worker, place):
    faults.wait_until_held(place)
    worker.kill()
    faults.release(place)


@pytest.mark.parametrize(("store", "place"), EACH, scope="module")
def test_a_worker_killed_there_loses_no_job_and_makes_none_twice(nightshift, faults, place):
    batch = enqueue_two_and_stop_at(place, nightshift, faults)
    kill_at(nightshift, faults, worker_or_new_one(nightshift), place)
    nightshift.start_worker()
    assert_all_made(nightshift, batch)
    first, second = outcomes(nightshift, batch)
    assert first == (["lost", "succeeded"] if PLACES[place] else ["succeeded"])
    # While the first is saved, the device may have begun the second.
    assert second in (["succeeded"], ["lost", "succeeded"])


def test_a_worker_killed_between_two_jobs_loses_none(nightshift, faults):
    first = nightshift.enqueue("--prompt", "a red boot")
    worker = worker_or_new_one(nightshift)
    nightshift.wait_until_finished(first)
    worker.kill()
    later = nightshift.enqueue("--prompt", "a blue loafer", "--count", 2)
    nightshift.start_worker()
    assert_all_made(nightshift, later)
    assert outcomes(nightshift, later) == [["succeeded"]] * 2


def test_a_worker_killed_while_it_loads_loses_nothing(nightshift, faults):
    end_worker(nightshift)
    batch = enqueue_two_and_stop_at("loading", nightshift, faults)
    kill_at(nightshift, faults, nightshift.start_worker(), "loading")
    nightshift.start_worker()
    assert_all_made(nightshift, batch)
    assert outcomes(nightshift, batch) == [["succeeded"]] * 2


@pytest.mark.smoke
@pytest.mark.parametrize("store", ["folder", "objects"], scope="module")
def test_a_worker_killed_again_and_again_loses_nothing(nightshift, faults):
    end_worker(nightshift)
    batch = nightshift.enqueue("--prompt", "a red boot")
    for place in ("writing", "named", "settled", "claiming"):
        faults.hold(place)
        kill_at(nightshift, faults, nightshift.start_worker(), place)
    nightshift.start_worker()
    assert_all_made(nightshift, batch)
    assert outcomes(nightshift, batch) == [["lost", "lost", "lost", "succeeded"]]
