"""What lies in Redis: the lists of the queues, and what workers have taken from them and not acknowledged."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from celery import Celery
from redis import Redis

from worker.queue.app import KEY_PREFIX

#: Messages that are looked at between two commands, so that nobody else waits for Redis meanwhile.
CHUNK = 1_000
#: The ending of a list that a withdrawal has laid aside.
WITHDRAWAL = ":withdrawal"


def queue_lists(channel: Any, queue: str) -> list[str]:
    """Return the keys of a queue's lists, one a priority."""
    return [f"{KEY_PREFIX}{channel._q_for_pri(queue, step)}" for step in channel.priority_steps]


def plain_client(channel: Any) -> Redis:
    """Return a client that leaves keys as they are; kombu's puts the prefix before those of some commands alone."""
    return Redis(connection_pool=channel.client.connection_pool)


def message_id(message: bytes | str) -> str:
    """Return the id in a message of Celery's; nothing of one that is none, which a worker drops and says so."""
    try:
        return _id_in(json.loads(message))
    except (ValueError, KeyError, TypeError):
        return ""


@dataclass(frozen=True)
class QueueContent:
    """The ids of all messages of a queue that are in Redis, whoever sent them, by the tags of their deliveries.

    No two messages have one tag, though two may be for one job. What is no message of Celery's is left out.
    """

    waiting: Mapping[str, str]
    #: Those that a worker has taken; the worker may be gone.
    taken: Mapping[str, str]


def read_queue(app: Celery, queue: str) -> QueueContent:
    """Return what is in Redis of a queue.

    Raises:
        OperationalError, RedisError, OSError: if Redis cannot be asked.
    """
    waiting: dict[str, str] = {}
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        client = plain_client(channel)
        lists = queue_lists(channel, queue)
        # From the end that new ones are put to, and what is taken last: a message that moves meanwhile is seen twice.
        for key in [*lists, *(f"{key}{WITHDRAWAL}" for key in lists)]:
            start = 0
            while page := client.lrange(key, start, start + CHUNK - 1):
                waiting.update(filter(None, map(_tag_and_id, page)))
                start += CHUNK
        notes = client.hscan_iter(f"{KEY_PREFIX}{channel.unacked_key}", count=CHUNK)
        taken = ((_text(tag), _id_of_taken(note, queue)) for tag, note in notes)
        return QueueContent(waiting, {tag: task for tag, task in taken if task is not None})


def _text(tag: bytes | str) -> str:
    return tag.decode(errors="replace") if isinstance(tag, bytes) else tag


def _id_of_taken(note: bytes | str, queue: str) -> str | None:
    """Return the id in kombu's note of a message that was taken: the message, its exchange and its routing key.

    The latter is the queue's name; None where it is another's.
    """
    try:
        message, _exchange, routing_key = json.loads(note)
        return _id_in(message) if routing_key == queue else None
    except (ValueError, KeyError, TypeError):
        return ""


def _tag_and_id(message: bytes | str) -> tuple[str, str] | None:
    try:
        content = json.loads(message)
        return str(content["properties"]["delivery_tag"]), _id_in(content)
    except (ValueError, KeyError, TypeError):
        return None


def _id_in(message: Any) -> str:
    return str(message["headers"]["id"])
