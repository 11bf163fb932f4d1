"""What may lie on the queue beside jobs: ten thousand messages that are none, and one of ten megabytes."""

import base64
import json
import random

import pytest
from faults import assert_promise_kept, faulty, outcomes

from models.types.message import DEFAULT_QUEUE
from models.types.states import JobState
from worker.queue.app import KEY_PREFIX

SEED = 20_260_101
NUMBER = 2_000
LIST = f"{KEY_PREFIX}{DEFAULT_QUEUE}"


@pytest.fixture(scope="module")
def nightshift(installation, own_server):
    with faulty(installation, own_server.url()) as (made, _):
        yield made


@pytest.fixture(scope="module")
def original(nightshift, own_server):
    """A message as the producer puts it, taken from the queue before any worker was there."""
    nightshift.enqueue("--prompt", "a red boot")
    with own_server.client() as client:
        (message,) = client.lrange(f"{LIST}\x06\x165", 0, -1)
    return json.loads(message)


@pytest.fixture(scope="module")
def worker(nightshift, original):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    nightshift.wait_until_finished()
    return worker


def assert_unharmed(nightshift, own_server, worker):
    """All of it is gone, and the next job is made by the same worker."""

    def taken():
        with own_server.client() as client:
            return not [key for key in client.scan_iter() if client.type(key) == b"list" or b"unacked" in key]

    nightshift.wait_until(taken, "all messages to be taken")
    jobs = nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a blue boot"))
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert outcomes(nightshift) == [["succeeded"]] * len(nightshift.jobs())
    assert worker.status is None
    assert "Traceback" not in worker.log
    assert_promise_kept(nightshift)


def any_value(rng):
    return rng.choice(
        [None, True, -1, 0, 1e400, 2**70, "", "x" * 300, "../../etc/passwd", "\0", [], [[]], {}, {"a": {}}, [1, "b"]]
    )


def spoil(value, rng):
    """Return the JSON value with one thing in it changed, gone or too much."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        changed, key = dict(value), rng.choice(list(value))
        what = rng.random()
        if what < 0.5:
            changed[key] = spoil(value[key], rng)
        elif what < 0.75:
            del changed[key]
        else:
            changed[str(any_value(rng))] = any_value(rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.9:
        place = rng.randrange(len(value))
        return [*value[:place], spoil(value[place], rng), *value[place + 1 :]]
    return any_value(rng)


def spoiled(original, rng):
    """Return a message spoiled in its bytes, its envelope, or what it carries."""
    what = rng.random()
    if what < 0.3:
        content = bytearray(json.dumps(original).encode())
        for _ in range(rng.randint(1, 8)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        return bytes(content[: rng.randint(0, len(content))] if rng.random() < 0.5 else content)
    message = dict(original)
    if what < 0.6:
        message = spoil(message, rng)
    elif what < 0.7:
        message["headers"] = dict(message["headers"], task=rng.choice(["celery.chord", "celery.map", "os.system", ""]))
    else:
        body = json.loads(base64.b64decode(message["body"]))
        message["body"] = base64.b64encode(json.dumps(spoil(body, rng)).encode()).decode()
    return json.dumps(message).encode()


def test_thousands_of_spoiled_messages_harm_nothing(nightshift, own_server, original, worker):
    rng = random.Random(SEED)
    with own_server.client() as client:
        pipe = client.pipeline(transaction=False)
        for _ in range(NUMBER):
            pipe.lpush(LIST, spoiled(original, rng))
        pipe.execute()
    assert_unharmed(nightshift, own_server, worker)
    assert len(worker.log) < 1_000 * NUMBER


@pytest.mark.smoke
def test_a_message_of_ten_megabytes_is_dropped_and_not_repeated_in_the_log(nightshift, own_server, original, worker):
    body = json.loads(base64.b64decode(original["body"]))
    body[0][0]["more"] = "x" * 10_000_000
    huge = dict(original, body=base64.b64encode(json.dumps(body).encode()).decode())
    seen = len(worker.log)
    with own_server.client() as client:
        client.lpush(LIST, json.dumps(huge))
        client.lpush(LIST, b"y" * 10_000_000)
    assert_unharmed(nightshift, own_server, worker)
    assert "message dropped" in worker.log[seen:]
    assert len(worker.log) - seen < 10_000
