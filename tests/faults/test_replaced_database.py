"""The database's file is replaced under a worker: it notices, says so, and goes on with what is there."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from faults import faulty, outcomes, wait_for_looks

from models.types.states import JobState

pytestmark = pytest.mark.of_sqlite


@pytest.fixture
def nightshift(installation, new_server):
    server = new_server()
    server.start()
    with faulty(installation, server.url()) as (made, _):
        yield made


def files(nightshift):
    return list(nightshift.data_dir.glob("nightshift.db*"))


@pytest.mark.parametrize("how", ["moved away", "brought back"])
def test_it_goes_on_with_the_one_that_is_there(nightshift, tmp_path, how):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a red boot"))
    nightshift.close_database()
    if how == "brought back":
        # As a person does it, who has stopped nothing: a whole copy, with what was only in the log so far.
        with closing(sqlite3.connect(nightshift.data_dir / "nightshift.db")) as source:
            source.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),))
    for file in files(nightshift):
        file.rename(tmp_path / file.name)
    if how == "brought back":
        shutil.move(tmp_path / "copy.db", nightshift.data_dir / "nightshift.db")
    nightshift.wait_until(lambda: "is another one now" in worker.log, "it to notice")
    nightshift.wait_until(lambda: worker.log.count("ready for jobs") == 2, "it to be ready again")
    jobs = nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a blue boot"))
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert outcomes(nightshift) == [["succeeded"]] * (2 if how == "brought back" else 1)
    assert worker.status is None
    assert worker.stop() == 0


def test_one_that_is_written_to_as_ever_is_no_other_one(nightshift):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a red boot", "--count", 2))
    wait_for_looks(nightshift, 6)
    assert "is another one now" not in worker.log
    assert worker.log.count("ready for jobs") == 1
