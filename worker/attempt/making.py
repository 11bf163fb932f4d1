"""The steps of an attempt that need the device: have the weights in memory, make the picture."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from models.records.boots import record_load
from models.records.database import Database
from models.types.clock import Sleep, now
from models.types.identity import Weights
from models.types.measurement import LoadMeasurement
from worker.attempt.attempt import Attempt
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
        #: When the device was last done, None where something else than work has come since.
        self._done: float | None = None
        self._sleep = Sleep()

    def rest(self) -> None:
        """Note that what the device waits for is a person."""
        self._done = None

    def prepare(self, attempt: Attempt) -> Attempt:
        """Have what the job needs in memory; a switch is a load of its own, and no part of the picture.

        Raises:
            CheckpointError, GenerationError: as `Engine.use` does.
            DatabaseError: the worker was told to end before the load could be recorded.
        """
        load = self._engine.use(Weights.of(attempt.claim.spec))
        load_id = self._loads.number_of(load)
        if load_id != self._load_id:
            self._load_id, self._done = load_id, None
        return replace(attempt, load=load, load_id=load_id)

    def make(self, attempt: Attempt) -> Attempt:
        """Make the picture, and acknowledge the message once it is denoised, or a little before.

        Raises:
            CancelledError, LostClaimError, AttemptStoppedError: as `Heartbeat.advance` does.
            GenerationError: as `Engine.make` does.
        """
        spec = attempt.claim.spec

        def on_step(step: int) -> None:
            attempt.heartbeat.advance(step)
            # Some schedulers take more steps than they were asked for.
            if step >= spec.steps:
                attempt.acknowledge()

        attempt.heartbeat.begin()
        begun = time.perf_counter()
        gap_s = self._gap(attempt.claim.queue_wait_s, begun)
        try:
            made, measured = self._engine.make(spec, on_step)
        finally:
            self._done = time.perf_counter()
        # What was slept through in an attempt that failed counts with the next one.
        slept_s = self._sleep.since_last()
        measured = replace(measured, gap_s=gap_s, slept_s=slept_s, total_s=self._done - begun)
        return replace(attempt, picture=made.picture, measured=measured)

    def _gap(self, queue_wait_s: float | None, begun: float) -> float | None:
        """Return the seconds that the device waited for this job; None where the job was not there to be had."""
        gap_s = None if self._done is None else begun - self._done
        if gap_s is None or queue_wait_s is None:
            return None
        return gap_s if queue_wait_s >= gap_s else None
