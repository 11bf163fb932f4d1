"""A fleet: three hosts of one PostgreSQL, one object store and one Redis, and what goes wrong between them.

`make fleet` is the whole of it; a test runs a small one. Each host has a network, a disk and locks of its own. One
worker is killed, one is cut off from all three, the database is started anew, and the store is away; in the end each
picture is there, once.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from faults import assert_promise_kept
from installation import Installation
from namespaces import Network
from postgres_server import PostgresServer, postgres_binaries
from programs import WorkerProcess
from redis_server import RedisServer
from s3_server import S3Server
from sqlalchemy import func, select

from models.records.database import Database
from models.records.tables import Attempt, Boot, Job
from models.types.errors import DatabaseError
from models.types.states import FINISHED, JobState

HOSTS = 3
#: Longest that anything may take.
_PATIENCE_S = 900.0
_SETTINGS = {"NIGHTSHIFT_HEARTBEAT_S": "1", "NIGHTSHIFT_STALL_S": "5", "NIGHTSHIFT_QUARANTINE_AFTER": "10"}


class Fleet:
    """The servers, and a worker on each host."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.network = Network()
        stack.callback(self.network.close)
        address = self.network.address
        binaries = postgres_binaries()
        assert binaries is not None
        # Not below a folder that other users may not enter, and its socket's path must be short.
        pg_folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleet-", ignore_cleanup_errors=True)))
        self.postgres = PostgresServer(binaries, pg_folder)
        self.postgres.start(address)
        stack.callback(self.postgres.stop)
        self.store = S3Server(address)
        self.store.start()
        stack.callback(self.store.stop)
        redis = RedisServer(folder / "redis", "hidden-word", append_only=True, address=address)
        redis.start()
        stack.callback(redis.kill)
        name = self.postgres.create().partition("?")[0].rpartition("/")[2]
        url = f"postgresql://nightshift:{self.postgres.password}@{address}/{name}"
        Database(url, migrate=True).close()
        settings = _SETTINGS | self.store.place() | {"NIGHTSHIFT_DATABASE_URL": url}
        self.nightshift = Installation(folder / "home", redis.url(), **settings)
        stack.callback(self.nightshift.close)
        self.hosts = [self.network.host() for _ in range(HOSTS)]
        self.workers = [self.start_worker(number) for number in range(HOSTS)]

    def start_worker(self, number: int) -> WorkerProcess:
        # A host of its own by its disk, where locks are, and by its name.
        disk = self.nightshift.folder / f"host-{number}"
        before = (*self.network.command(self.hosts[number]), "unshare", "--uts", "sh", "-c")
        named = f'hostname host-{number} && exec "$0" "$@"'
        return self.nightshift.start_worker_anew(*before, named, NIGHTSHIFT_DATA_DIR=str(disk))

    def made(self) -> int | None:
        """Return how many jobs are done with; None while the database is away."""
        try:
            with self.nightshift.database.reading() as session:
                return session.scalar(select(func.count()).where(Job.state.in_(FINISHED)))
        except DatabaseError:
            return None

    def wait_for(self, count: int) -> None:
        self._wait(lambda: (self.made() or 0) >= count, f"{count} jobs to be done")

    def wait_until_ready(self) -> None:
        self._wait(lambda: all("ready for jobs" in worker.log for worker in self.workers), "workers to be ready")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        self.nightshift.wait_until(condition, what, _PATIENCE_S)


@contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """Give a fleet whose workers are ready."""
    with ExitStack() as stack:
        made = Fleet(folder, stack)
        made.wait_until_ready()
        yield made


def run(made: Fleet, jobs: int, cut_s: float) -> Counter[str]:
    """Have so many pictures made while things go wrong, check what came of it, and return how many each host made."""
    made.nightshift.enqueue("--prompt", "a red boot on white", "--count", jobs)
    first, second, _ = made.workers
    made.wait_for(jobs // 10)
    first.kill()
    with made.network.cut_off(made.hosts[1]):
        begun = time.monotonic()
        made.wait_for(jobs * 3 // 10)
        made.postgres.restart()
        made.wait_for(jobs * 4 // 10)
        with made.store.away():
            # Those who have a picture wait for it.
            made._wait(lambda: "cannot be reached" in made.workers[2].log, "the last worker to wait for the store")
        made.wait_for(jobs // 2)
        time.sleep(max(0.0, cut_s - (time.monotonic() - begun)))
    again = made.start_worker(0)
    # The others may have made all that is left by then, and what ends before it has begun says nothing.
    made._wait(lambda: "ready for jobs" in again.log, "the first worker to be there again")
    made.wait_for(jobs)
    for worker in (second, made.workers[2], again):
        assert worker.stop() == 0, worker.log
    assert {job.state for job in made.nightshift.jobs()} == {JobState.SUCCEEDED}
    assert_promise_kept(made.nightshift)
    with made.nightshift.database.reading() as session:
        query = select(Boot.host, func.count()).join(Attempt, Attempt.boot_id == Boot.id)
        rows = session.execute(query.where(Attempt.outcome == "succeeded").group_by(Boot.host)).all()
    return Counter(dict(rows))


@click.command
@click.option("--jobs", default=300, show_default=True)
@click.option("--cut", "cut_s", default=60.0, show_default=True, help="Seconds for which a host is cut off, at least.")
def main(jobs: int, cut_s: float) -> None:
    """Run a fleet, and say which host made how many pictures."""
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder, fleet(Path(folder)) as made:
        try:
            by_host = run(made, jobs, cut_s)
        except BaseException:
            for worker in made.nightshift.workers:
                click.echo(f"--- {worker.log_file.name}\n" + "\n".join(worker.lines[-40:]))
            raise
        click.echo(made.nightshift.producer("report").stdout)
    click.echo(f"{jobs} pictures, each once: {dict(by_host)}")


if __name__ == "__main__":
    sys.exit(main())
