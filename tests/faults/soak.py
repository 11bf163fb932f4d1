"""The soak: faults drawn at random while a thousand jobs run, and the promise checked at the end.

`make soak` runs it for half an hour; `make soak MINUTES=5 ARGS="--seed 42"` repeats a shorter one. What is drawn
comes from the seed, which is printed; what a fault meets depends on the machine.
"""

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import click
from faults import assert_promise_kept, helpers_of, messages_in
from rich.console import Console
from rich.table import Table
from soak_faults import JOBS_A_BATCH, Soak
from sqlalchemy import select

from models.records.tables import Attempt, Batch
from models.types.causes import Cause
from models.types.states import MADE

#: Longest that anything may take once faults are over.
_PATIENCE_S = 1800.0
#: What a row may say that has no picture: what was put in, and nothing else.
_EXPECTED_CAUSES = {
    Cause.UNEXPECTED,
    Cause.NOT_FINITE,
    Cause.CANCELLED,
    Cause.QUARANTINED,
    Cause.OUT_OF_MEMORY,
    Cause.DRIVER,
    Cause.LORA,
}

_out = Console(highlight=False)


@click.command
@click.option("--minutes", default=30.0, show_default=True, help="How long faults are drawn.")
@click.option("--jobs", "wanted", default=1_000, show_default=True, help="Jobs that run meanwhile, at least.")
@click.option("--seed", type=int, help="Repeat a run's faults. Default: a new one, printed.")
def main(minutes: float, wanted: int, seed: int | None) -> None:
    """Draw faults while jobs run, then check that each job ended once."""
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    _out.print(f"seed {seed}: {wanted} jobs, faults for {minutes:g} minutes")
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soak = Soak(Path(folder), seed)
        try:
            _run(soak, minutes * 60, wanted)
            _settle(soak)
            _tell(soak)
            assert_promise_kept(soak.nightshift)
            assert _begun_after_cancelling(soak) == [], "a cancelled batch went on"
            causes = {job.cause for job in soak.nightshift.jobs() if job.state not in MADE}
            assert causes <= _EXPECTED_CAUSES, f"causes that nobody put in: {causes - _EXPECTED_CAUSES}"
        except AssertionError:
            _out.print(f"seed {seed}: THE PROMISE IS BROKEN; the last worker's log ends with")
            _out.print("\n".join(soak.worker.lines[-40:]))
            raise
        finally:
            soak.close()
    _out.print(f"seed {seed}: every job ended once, every picture is whole, no file is left over")


def _begun_after_cancelling(soak: Soak) -> list[int]:
    """Return the attempts of cancelled batches that began when those were cancelled already."""
    query = (
        select(Attempt.id)
        .join(Batch, Batch.id == Attempt.batch_id)
        .where(Batch.name.in_(soak.cancelled), Attempt.started_at > Batch.cancelled_at)
    )
    with soak.nightshift.database.reading() as session:
        return list(session.scalars(query))


def _run(soak: Soak, seconds: float, wanted: int) -> None:
    begun = time.monotonic()
    while (spent := time.monotonic() - begun) < seconds:
        soak.supervise()
        # Jobs come bit by bit, so that there is work as long as there are faults.
        while soak.jobs() < wanted * min(1, spent / seconds / 0.8 + 0.05):
            soak.enqueue(JOBS_A_BATCH)
        soak.wait_for_progress()
        time.sleep(soak.pause_s())
        fault = soak.strike()
        _out.print(f"{spent:6.0f} s  {soak.jobs() - soak.left():5} of {soak.jobs()} done  {fault}")


def _settle(soak: Soak) -> None:
    """Put no more faults in, and wait until nothing is left to do."""
    soak.faults.clear()
    until = time.monotonic() + _PATIENCE_S
    while soak.left():
        assert time.monotonic() < until, f"{soak.left()} jobs are still not done"
        soak.supervise()
        time.sleep(1)
    # What was sent twice is dropped one by one.
    while messages_in(soak.server):
        assert time.monotonic() < until, f"{messages_in(soak.server)} messages still wait"
        soak.supervise()
        time.sleep(1)
    assert len(soak.nightshift.left_running()) == 1, "there is more, or less, than the worker"
    soak.worker.stop()
    left = soak.nightshift.left_running() + helpers_of(soak.nightshift)
    assert left == [], f"still running: {left}"


def _tell(soak: Soak) -> None:
    for title, counts in (
        ("fault", soak.met),
        ("job", Counter(f"{job.state}{f' ({job.cause})' if job.cause else ''}" for job in soak.nightshift.jobs())),
        ("attempt", Counter(row.outcome for row in soak.nightshift.rows(Attempt))),
        ("worker's exit status", Counter(map(str, soak.ends.elements()))),
    ):
        table = Table(title, "times")
        for name, count in sorted(counts.items()):
            table.add_row(name, str(count))
        _out.print(table)


if __name__ == "__main__":
    sys.exit(main())
