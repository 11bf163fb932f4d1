"""Messages of cancelled jobs leave the queue; all others stay, in their order, each once."""

import json
from typing import Any

import pytest
from installation import Installation
from redis_server import RedisServer

from models.records.tables import Attempt
from models.types.message import DEFAULT_QUEUE
from models.types.states import JobState
from worker.queue import withdrawal
from worker.queue.app import KEY_PREFIX

FIRST = f"{KEY_PREFIX}{DEFAULT_QUEUE}"


@pytest.fixture
def redis_server(new_server):
    made = new_server()
    made.start()
    return made


@pytest.fixture
def nightshift(installation, redis_server):
    with installation(redis_server.url(0)) as made:
        yield made


def waiting(server: RedisServer) -> dict[str, list[Any]]:
    """Return what lies in each list of the queue, and in those of a withdrawal."""
    with server.client() as client:
        keys: list[Any] = [key for key in client.keys(f"{FIRST}*") if client.type(key) == b"list"]
        return {key.decode(): client.lrange(key, 0, -1) for key in keys}


def ids(messages: list[bytes]) -> list[str]:
    return [json.loads(message)["headers"]["id"] for message in messages]


def test_only_the_cancelled_jobs_messages_go(nightshift: Installation, redis_server):
    kept = nightshift.enqueue("--prompt", "a boot", "--count", 30, "--batch", "kept")
    nightshift.enqueue("--prompt", "a boot", "--count", 2_500, "--batch", "unwanted")
    nightshift.enqueue("--prompt", "a boot", "--count", 30, "--batch", "later")
    nightshift.enqueue("--prompt", "a boot", "--count", 7, "--batch", "urgent", "--priority", 0)
    before = waiting(redis_server)
    done = nightshift.producer("cancel", "unwanted")
    assert done.stdout == "2,500 queued jobs cancelled, 0 running ones asked to stop at their next step\n"
    assert done.stderr == ""
    after = waiting(redis_server)
    gone = {f"-{job.id}" for job in nightshift.jobs("unwanted")}
    for key, messages in before.items():
        stays = [message for message in messages if f"-{ids([message])[0].rpartition('-')[2]}" not in gone]
        assert after[key] == stays
    assert set(after) == set(before)
    assert sum(map(len, after.values())) == 67
    assert {job.state for job in nightshift.jobs(kept)} == {JobState.QUEUED}


def test_what_is_no_message_of_ours_stays(nightshift: Installation, redis_server):
    batch = nightshift.enqueue("--prompt", "a boot", "--count", 3)
    (key,) = waiting(redis_server)
    junk = [b"no json", b"[]", b'{"headers": 1}', b'{"headers": {"id": "another-1"}}']
    with redis_server.client() as client:
        client.lpush(key, *junk)
    assert nightshift.producer("cancel", batch).returncode == 0
    assert waiting(redis_server) == {key: junk[::-1]}


def test_a_second_message_for_a_cancelled_job_stays_for_another_that_waits(nightshift: Installation, redis_server):
    nightshift.enqueue("--prompt", "a boot", "--batch", "kept")
    batch = nightshift.enqueue("--prompt", "a red boot", "--batch", "unwanted")
    ((key, (unwanted, other)),) = waiting(redis_server).items()
    with redis_server.client() as client:
        # The kept job's own message was used for a job that had been published twice.
        client.delete(key)
        client.lpush(key, unwanted, unwanted)
    assert nightshift.producer("cancel", batch).returncode == 0
    assert waiting(redis_server) == {key: [unwanted]}
    assert ids([unwanted]) != ids([other])
    nightshift.start_worker()
    assert {job.state for job in nightshift.wait_until_finished("kept")} == {JobState.SUCCEEDED}


def test_one_that_was_killed_is_made_up_for_by_the_next_and_nothing_is_made_twice(
    nightshift: Installation, redis_server
):
    kept = nightshift.enqueue("--prompt", "a boot", "--count", 4)
    unwanted = nightshift.enqueue("--prompt", "a red boot", "--count", 4)
    (key,) = waiting(redis_server)
    with redis_server.client() as client:
        # Half of the kept ones had been brought back.
        client.rename(key, f"{key}:withdrawal")
        client.rpush(key, *client.lrange(f"{key}:withdrawal", 0, 5))
        client.ltrim(f"{key}:withdrawal", 6, -1)
    later = nightshift.enqueue("--prompt", "a boot", "--batch", "later")
    assert nightshift.producer("cancel", unwanted).returncode == 0
    assert [len(messages) for messages in waiting(redis_server).values()] == [5]
    numbers = [int(one.rpartition("-")[2]) for one in ids(waiting(redis_server)[key])]
    assert numbers == [9, 4, 3, 2, 1]
    nightshift.wait_until_ready(nightshift.start_worker())
    jobs = nightshift.wait_until_finished(kept) + nightshift.wait_until_finished(later)
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert sorted(row.job_id for row in nightshift.rows(Attempt)) == [1, 2, 3, 4, 9]


def test_two_at_once_lose_and_double_nothing(nightshift: Installation, redis_server, monkeypatch):
    nightshift.enqueue("--prompt", "a boot", "--count", 20, "--batch", "kept")
    (key,) = waiting(redis_server)
    aside = f"{key}:withdrawal"
    before = waiting(redis_server)[key]
    monkeypatch.setattr(withdrawal, "CHUNK", 3)
    with redis_server.client() as client:
        client.rename(key, aside)
        looked = []

        def look(message):
            # Another one takes a chunk between this one's look and its move.
            if len(looked) == 4:
                client.rpush(key, *client.lrange(aside, 0, 2))
                client.ltrim(aside, 3, -1)
            looked.append(message)
            return ""

        monkeypatch.setattr(withdrawal, "message_id", look)
        with redis_server.client() as other:
            assert withdrawal._sift(other, aside, key, set()) == 0
        assert client.lrange(key, 0, -1) == before
        assert not client.exists(aside)


def test_what_another_has_just_laid_aside_is_not_written_over(nightshift: Installation, redis_server, monkeypatch):
    nightshift.enqueue("--prompt", "a boot", "--count", 6, "--batch", "kept")
    (key,) = waiting(redis_server)
    aside = f"{key}:withdrawal"
    before = waiting(redis_server)[key]
    sift = withdrawal._sift

    with redis_server.client() as client, redis_server.client() as other:

        def sift_and_be_overtaken(*of):
            count = sift(*of)
            # Another one lays all aside just then, and a new message comes.
            if client.exists(key) and not client.exists(aside):
                client.rename(key, aside)
                client.lpush(key, before[0])
            monkeypatch.setattr(withdrawal, "_sift", sift)
            return count

        monkeypatch.setattr(withdrawal, "_sift", sift_and_be_overtaken)
        assert withdrawal._withdraw(other, key, set()) == 0
        assert sorted(client.lrange(key, 0, -1)) == sorted([*before, before[0]])
        assert not client.exists(aside)


def test_a_redis_that_is_away_keeps_nobody_from_cancelling(nightshift: Installation):
    batch = nightshift.enqueue("--prompt", "a boot", "--count", 3)
    done = nightshift.producer("cancel", batch, NIGHTSHIFT_BROKER_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 0
    assert "workers drop the messages of cancelled jobs" in done.stderr
    assert {job.state for job in nightshift.jobs(batch)} == {JobState.CANCELLED}
