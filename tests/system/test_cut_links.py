"""The link to PostgreSQL is cut when a worker has committed something and waits for the word that it has."""

import tempfile
from pathlib import Path

import pytest
from faults import assert_promise_kept, faulty, outcomes
from postgres_proxy import PostgresProxy

from models.records.database import Database
from models.records.tables import Batch, Boot, Load


@pytest.fixture
def proxy(postgres):
    # A socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="nightshift-proxy-") as folder:
        made = PostgresProxy(Path(folder), postgres.folder)
        yield made
        made.close()


@pytest.fixture
def both(installation, postgres, migrated_template, proxy):
    url = postgres.create(migrated_template)
    proxy.url = url.replace(str(postgres.folder), str(proxy.folder))
    # So long that it is the claim's own next try that finds it, and not whoever looks after the queue.
    with faulty(installation, NIGHTSHIFT_DATABASE_URL=url, NIGHTSHIFT_STALL_S="60") as made:
        made[0]._database = Database(url)
        yield made


@pytest.fixture
def nightshift(both):
    return both[0]


@pytest.fixture
def faults(both):
    return both[1]


@pytest.mark.parametrize("words", ["INSERT INTO attempts", "UPDATE attempts SET", "UPDATE jobs SET heartbeat_at"])
def test_no_job_is_lost_and_none_is_made_twice(nightshift, proxy, faults, words):
    worker = nightshift.wait_until_ready(nightshift.start_worker(NIGHTSHIFT_DATABASE_URL=proxy.url))
    nightshift.enqueue("--prompt", "a blue boot")
    nightshift.wait_until_finished()
    if "heartbeat" in words:
        faults.hold("step")
    proxy.lose_answer_after(words)
    # Not by way of the proxy: it is the worker's answer that is lost.
    nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    nightshift.wait_until(lambda: proxy.has_cut, "the answer to be lost")
    if "heartbeat" in words:
        faults.release("step")
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["succeeded"]] * 3
    assert "no longer this attempt's" not in worker.log
    assert worker.status is None
    assert_promise_kept(nightshift)


def test_a_batch_whose_answer_was_lost_is_found_by_the_same_command(nightshift, proxy):
    command = ("enqueue", "--prompt", "a red boot", "--seed", 5)
    proxy.lose_answer_after("INSERT INTO batches")
    lost = nightshift.producer(*command, NIGHTSHIFT_DATABASE_URL=proxy.url)
    assert (proxy.has_cut, lost.returncode) == (True, 1)
    again = nightshift.producer(*command, NIGHTSHIFT_DATABASE_URL=proxy.url)
    assert again.returncode == 0, again.stderr
    assert len(nightshift.rows(Batch)) == 1
    nightshift.start_worker()
    nightshift.wait_until_finished()
    assert outcomes(nightshift) == [["succeeded"]]


@pytest.mark.parametrize("words", ["INSERT INTO boots", "INSERT INTO loads", "UPDATE boots SET ready_at"])
def test_a_worker_starts_once(nightshift, proxy, words):
    proxy.lose_answer_after(words)
    nightshift.wait_until_ready(nightshift.start_worker(NIGHTSHIFT_DATABASE_URL=proxy.url))
    assert proxy.has_cut
    assert (len(nightshift.rows(Boot)), len(nightshift.rows(Load))) == (1, 1)


@pytest.mark.parametrize("command", ["watch", "run"])
def test_what_watches_waits_for_a_server_that_is_away(nightshift, proxy, command):
    asked = ("--prompt", "a red boot", "--count", 5, "--steps", 16)
    nightshift.environment["NIGHTSHIFT_DATABASE_URL"] = proxy.url
    if command == "watch":
        nightshift.enqueue(*asked)
        worker = nightshift.wait_until_ready(nightshift.start_worker())
    watching = nightshift.start_producer(*(("watch",) if command == "watch" else ("run", *asked)))
    nightshift.wait_until(lambda: [job.state for job in nightshift.jobs()].count("succeeded") > 1, "two pictures")
    with proxy.away():
        nightshift.wait_until(lambda: "this waits and looks again" in watching.output, "it to say so")
    rest = watching.wait()
    assert watching.status == 0, rest
    assert {job.state for job in nightshift.jobs()} == {"succeeded"}
    assert command == "run" or worker.status is None
    assert_promise_kept(nightshift)
