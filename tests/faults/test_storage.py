"""Disk and database: what cannot be written now is waited for, and goes on when it is mended."""

from pathlib import Path

import pytest
from faults import assert_promise_kept, faulty, locked, outcomes, worker_or_new_one

from models.pictures.folder import FolderStore
from models.records.tables import Batch, Boot


def waiting_for(nightshift):
    return nightshift.rows(Boot)[-1].waiting_for


@pytest.fixture(scope="module")
def both(installation):
    """One installation for all tests here: that its worker goes on is what they are about."""
    with faulty(installation) as made:
        yield made


@pytest.fixture
def worker(nightshift):
    worker = nightshift.wait_until_ready(worker_or_new_one(nightshift))
    worker.forget_log()
    return worker


@pytest.mark.smoke
def test_a_folder_that_is_gone_is_made_again(nightshift, faults, worker):
    faults.hold("naming")
    batch = nightshift.enqueue("--prompt", "a red boot")
    faults.wait_until_held("naming")
    pictures, elsewhere = nightshift.data_dir / "pictures", nightshift.data_dir / "moved away"
    pictures.rename(elsewhere)
    faults.release("naming")
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift, batch) == [["succeeded"]]
    for folder in elsewhere.iterdir():
        if not (pictures / folder.name).exists():
            folder.rename(pictures / folder.name)
    assert_promise_kept(nightshift)


def test_a_file_in_the_folders_place_is_waited_out(nightshift, faults, worker):
    folder = Path(FolderStore(nightshift.data_dir).shown_folder(len(nightshift.rows(Batch)) + 1))
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way")
    batch = nightshift.enqueue("--prompt", "a red boot")
    nightshift.wait_until(lambda: waiting_for(nightshift), "the worker to wait for its folder")
    folder.unlink()
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift, batch) == [["succeeded"]]
    assert_promise_kept(nightshift)


@pytest.mark.parametrize("place", ["encoding", "settling"])
def test_a_locked_database_is_waited_for_and_can_be_read_all_the_while(nightshift, faults, worker, place):
    faults.hold(place)
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    faults.wait_until_held(place)
    with locked(nightshift):
        faults.release(place)
        counts = nightshift.read_json("status", batch)["counts"]
        # While the first is settled, the device may have begun the second.
        assert counts["running"] + counts["queued"] == 2
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift, batch) == [["succeeded"]] * 2
    assert worker.status is None
    assert_promise_kept(nightshift)


@pytest.mark.of_sqlite
def test_status_and_the_bar_say_that_the_database_is_locked_and_then_no_longer(nightshift, faults, worker):
    faults.hold("settling")
    batch = nightshift.enqueue("--prompt", "a red boot")
    faults.wait_until_held("settling")
    says = "workers wait: the database sqlite:///"
    watch = nightshift.start_producer("watch", batch)
    with locked(nightshift):
        faults.release("settling")
        nightshift.wait_until(lambda: says in nightshift.producer("status").stdout, "status to say so")
        status = nightshift.producer("status").stdout
        assert "database is locked. Another program holds it: see what else has it open" in status
        assert "starts one" not in status
        assert "database is locked" in nightshift.read_json("status", batch)["database_trouble"]
    nightshift.wait_until_finished(batch)
    nightshift.wait_until(lambda: says not in nightshift.producer("status").stdout, "status to be content")
    assert watch.wait().count("Traceback") == 0
    assert watch.status == 0
    assert_promise_kept(nightshift)
