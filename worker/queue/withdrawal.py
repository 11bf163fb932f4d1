"""Taking messages off the queue whose jobs were cancelled, so that no worker has to drop them one by one."""

from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError, ResponseError, WatchError

from models.records.database import Database
from models.records.publication import cancelled
from worker.queue.app import SOCKET_TIMEOUT_S
from worker.queue.content import CHUNK, WITHDRAWAL, message_id, plain_client, queue_lists
from worker.queue.publishing import explain_broker_error, task_id


def withdraw(app: Celery, database: Database, batch_id: int) -> int:
    """Take the messages of a batch's cancelled jobs off the queue, one a job, and return how many those were.

    The others keep their order. They are out of reach for as long as it takes, a few seconds for 100,000; where this is
    killed then, they are put back by the next withdrawal, or published again once the queue is empty.

    Raises:
        BrokerError: if Redis is away or refuses it; what was not looked at stays where it is.
    """
    with database.reading() as session:
        found = cancelled(session, batch_id)
    try:
        with app.connection_for_write(connect_timeout=SOCKET_TIMEOUT_S) as connection:
            channel = connection.default_channel
            client = plain_client(channel)
            count = 0
            for queue, messages in found.items():
                unwanted = {task_id(message.job, message.batch) for message in messages}
                count += sum(_withdraw(client, key, unwanted) for key in queue_lists(channel, queue))
            return count
    except (OperationalError, RedisError, OSError) as error:
        raise explain_broker_error(app, error) from error


def _withdraw(client: Redis, queue: str, unwanted: set[str]) -> int:
    aside = f"{queue}{WITHDRAWAL}"
    count = 0
    while True:
        # What one that was killed has left there is older than what waits now; one that lives is helped.
        count += _sift(client, aside, queue, unwanted)
        try:
            # Never over what another withdrawal has just put there.
            if client.renamenx(queue, aside):
                return count + _sift(client, aside, queue, unwanted)
        except ResponseError:
            # Nothing waits there.
            return count


def _sift(client: Redis, aside: str, queue: str, unwanted: set[str]) -> int:
    """Bring the messages that lie aside back to the queue, but for one of each unwanted id, and return how many.

    What was found is unwanted no more: a second message for a job is for another that waits.

    The newest come first, behind what was put on the queue meanwhile: workers take from the other end.
    """
    count = 0
    with client.pipeline() as pipe:
        while True:
            try:
                pipe.watch(aside)  # type: ignore[no-untyped-call]
                found = pipe.lrange(aside, 0, CHUNK - 1)
                if not found:
                    return count
                kept, dropped = [], set()
                for message in found:
                    this = message_id(message)
                    if this in unwanted and this not in dropped:
                        dropped.add(this)
                    else:
                        kept.append(message)
                pipe.multi()
                if kept:
                    pipe.rpush(queue, *kept)
                pipe.ltrim(aside, len(found), -1)
                pipe.execute()
            except WatchError:
                # Another withdrawal was faster; what it left is looked at anew.
                continue
            unwanted -= dropped
            count += len(dropped)
