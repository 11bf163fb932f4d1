"""Who gets in: no other user of the machine, no command that comes by Redis, nothing that unpacks itself."""

import base64
import gzip
import json

import pytest
from faults import assert_promise_kept

from models.records.tables import Boot
from models.types.message import DEFAULT_QUEUE
from worker.queue.app import KEY_PREFIX, make_app

LIST = f"{KEY_PREFIX}{DEFAULT_QUEUE}"


@pytest.fixture
def own_server(new_server):
    made = new_server()
    made.start()
    return made


@pytest.fixture
def nightshift(installation, own_server):
    with installation(own_server.url(), NIGHTSHIFT_CHECKPOINT="demo") as made:
        yield made


@pytest.fixture
def app(nightshift, own_server, settings):
    made = make_app(settings(broker_url=own_server.url()))
    made.conf.broker_connection_timeout = 5
    with made:
        yield made


def test_what_it_makes_is_for_nobody_else(nightshift):
    assert nightshift.producer("run", "--prompt", "a red boot", "--checkpoint", "demo").returncode == 0
    made = [nightshift.data_dir, *nightshift.data_dir.rglob("*")]
    folders = {path for path in made if path.is_dir()}
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in nightshift.data_dir.glob("nightshift.db*")} == {0o600}
    assert nightshift.data_dir / "pictures" in folders


def test_what_was_otherwise_before_stays_so(nightshift):
    nightshift.data_dir.mkdir()
    (nightshift.data_dir / "pictures").mkdir()
    for folder in (nightshift.data_dir, nightshift.data_dir / "pictures"):
        folder.chmod(0o755)
    assert nightshift.producer("run", "--prompt", "a red boot", "--checkpoint", "demo").returncode == 0
    assert nightshift.data_dir.stat().st_mode & 0o777 == 0o755
    assert (nightshift.data_dir / "pictures").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("allowed", [False, True])
def test_a_command_that_comes_by_redis_is_obeyed_only_where_that_is_set(nightshift, app, allowed):
    worker = nightshift.wait_until_ready(nightshift.start_worker(NIGHTSHIFT_REMOTE_CONTROL=str(allowed).lower()))
    # Its link to Redis is there when a job was made, and not yet when it is ready.
    nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a red boot"))
    if allowed:
        nightshift.wait_until(lambda: app.control.ping(timeout=1), "the worker to answer")
        app.control.broadcast("shutdown")
        assert worker.wait() == 0
        return
    assert not app.control.ping(timeout=3)
    app.control.broadcast("shutdown")
    nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a red boot"))
    assert worker.status is None


def test_a_message_that_unpacks_itself_is_dropped_and_not_unpacked(nightshift, own_server):
    nightshift.enqueue("--prompt", "a red boot")
    key = f"{LIST}\x06\x165"
    with own_server.client() as client:
        (message,) = (json.loads(one) for one in client.lrange(key, 0, -1))
        worker = nightshift.start_worker()
        nightshift.wait_until_finished()
        before = nightshift.rows(Boot)[-1].rss_lifetime_peak_bytes
        # 400 kB, and 400 MB where anybody unpacks it.
        message["headers"]["compression"] = "application/x-gzip"
        message["body"] = base64.b64encode(gzip.compress(b"0" * 400_000_000)).decode()
        client.rpush(key, json.dumps(message))
    nightshift.wait_until(lambda: "it is compressed, as no message of this queue is" in worker.log, "it to be dropped")
    nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a blue boot"))
    assert nightshift.rows(Boot)[-1].rss_lifetime_peak_bytes - before < 200_000_000
    assert worker.status is None
    assert_promise_kept(nightshift)
