"""Freezing a worker, as a laptop that sleeps does."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from faults import Faults
from installation import Installation
from programs import WorkerProcess
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError


def freeze_at(
    nightshift: Installation, faults: Faults, place: str, ask: Callable[[], object] | None = None
) -> WorkerProcess:
    """Return a worker that stands still at that place of a job, or of what `ask` asks for, and does not know it."""
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    faults.hold(place)
    if ask is None:
        nightshift.enqueue("--prompt", "a red boot", "--seed", 7)
    else:
        ask()
    faults.wait_until_held(place)
    _freeze(nightshift, worker)
    faults.release(place)
    return worker


def _in_a_transaction(url: str) -> bool:
    """Tell whether another program has written something and not committed it yet."""
    engine = create_engine(url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # Said of the connection itself, whose transaction is to begin below.
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA busy_timeout = 0")
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError:
                found = True
            else:
                found = False
        else:
            own = "datname = current_database() AND state = 'idle in transaction'"
            found = bool(connection.exec_driver_sql(f"SELECT count(*) > 0 FROM pg_stat_activity WHERE {own}").scalar())
    engine.dispose()
    return found


def _freeze(nightshift: Installation, worker: WorkerProcess) -> None:
    """Stop it, but not in the middle of writing a sign of life: it would keep the database locked."""

    def stopped() -> bool:
        # The signal is on its way when `send` returns, and a thread may go on until it comes.
        threads = list(Path("/proc").glob(f"{worker.pid}/task/*/stat"))
        if not threads:
            return psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED
        return {file.read_text().rpartition(")")[2].split()[0] for file in threads} == {"T"}

    def stopped_between_two_writes() -> bool:
        worker.send(signal.SIGSTOP)
        nightshift.wait_until(stopped, "every thread of the worker to stand still")
        if _in_a_transaction(nightshift.database_url):
            worker.send(signal.SIGCONT)
            return False
        return True

    nightshift.wait_until(stopped_between_two_writes, "the worker to stand still")
