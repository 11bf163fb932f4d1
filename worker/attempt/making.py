"""The steps of an attempt that need the device: have the weights in memory, make the pictures."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from models.records.boots import record_load
from models.records.database import Database
from models.types.clock import Sleep, now
from models.types.identity import Weights
from models.types.measurement import LoadMeasurement
from worker.attempt.attempt import Attempt, ended_by
from worker.engine.engine import Engine


class Loads:
    """Records loads on behalf of one boot; `until_done` does again what the database did not take."""

    def __init__(self, database: Database, boot_id: int, until_done: Callable[[Callable[[], int]], int]) -> None:
        self._database = database
        self._boot_id = boot_id
        self._until_done = until_done
        self._newest: tuple[LoadMeasurement, int] | None = None

    def number_of(self, load: LoadMeasurement) -> int:
        """Return the number of the load's row, which is written if the load is another than the last.

        Raises:
            DatabaseError: if it cannot be written, and will not be waited for.
        """
        # By identity: the same weights loaded anew are another load.
        if self._newest is None or self._newest[0] is not load:
            loaded_at = now()
            self._newest = load, self._until_done(lambda: self._record(load, loaded_at))
        return self._newest[1]

    def _record(self, load: LoadMeasurement, loaded_at: datetime) -> int:
        with self._database.writing() as session:
            return record_load(session, self._boot_id, load, loaded_at)


class Maker:
    """Makes pictures with an engine, on the thread that owns the device."""

    def __init__(self, engine: Engine, loads: Loads) -> None:
        self._engine = engine
        self._loads = loads
        self._load_id: int | None = None
        #: What it took to have the LoRAs of the next call in use.
        self._switch_s: float | None = None
        #: When the device was last done, None where something else than work has come since.
        self._done: float | None = None
        self._sleep = Sleep()

    def rest(self) -> None:
        """Note that what the device waits for is a person."""
        self._done = None

    def prepare(self, attempts: Sequence[Attempt]) -> list[Attempt]:
        """Have what the jobs need in memory; a switch is a load of its own, and no part of the pictures.

        Raises:
            CheckpointError, GenerationError, LoraError: as `Engine.use` and `Engine.use_loras` do.
            DatabaseError: the worker was told to end before the load could be recorded.
        """
        spec = attempts[0].claim.spec
        load = self._engine.use(Weights.of(spec))
        load_id = self._loads.number_of(load)
        switch_s = self._engine.use_loras(spec.loras)
        if load_id != self._load_id or switch_s is not None:
            self._load_id, self._done = load_id, None
        self._switch_s = switch_s
        return [replace(attempt, load=load, load_id=load_id) for attempt in attempts]

    def make(self, attempts: Sequence[Attempt]) -> list[Attempt]:
        """Make the pictures in one call, and acknowledge the message once they are denoised, or a little before.

        A picture's time is its share of the call's. An attempt that ends otherwise takes nothing from the others.

        Raises:
            DeviceFaultError: as `Engine.make_together` does.
        """
        attempts[0].heartbeat.begin()
        begun = time.perf_counter()
        gaps_s = [self._gap(attempt.claim.queue_wait_s, begun) for attempt in attempts]
        try:
            made = self._engine.make_together(
                [attempt.claim.spec for attempt in attempts], [partial(_advance, attempt) for attempt in attempts]
            )
        finally:
            self._done = time.perf_counter()
        count = len(attempts)
        # What was slept through in an attempt that failed counts with the next one.
        slept_s = self._sleep.since_last()
        total_s, slept_s = (self._done - begun) / count, None if slept_s is None else slept_s / count
        return [
            ended_by(attempt, what)
            if isinstance(what, BaseException)
            else replace(
                attempt,
                picture=what[0].picture,
                measured=replace(
                    what[1],
                    gap_s=None if gap_s is None else gap_s / count,
                    slept_s=slept_s,
                    total_s=total_s,
                    switch_s=None if self._switch_s is None else self._switch_s / count,
                ),
            )
            for attempt, what, gap_s in zip(attempts, made, gaps_s, strict=True)
        ]

    def _gap(self, queue_wait_s: float | None, begun: float) -> float | None:
        """Return the seconds that the device waited for this job; None where the job was not there to be had."""
        gap_s = None if self._done is None else begun - self._done
        if gap_s is None or queue_wait_s is None:
            return None
        return gap_s if queue_wait_s >= gap_s else None


def _advance(attempt: Attempt, step: int) -> None:
    attempt.advance(step)
    # Some schedulers take more steps than they were asked for.
    if step >= attempt.claim.spec.steps:
        attempt.acknowledge()
