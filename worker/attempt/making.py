"""The steps of an attempt that need the device: have the weights in memory, make the picture."""

import time
from collections.abc import Callable
from dataclasses import replace

from models.types.clock import Sleep
from models.types.identity import Weights
from worker.attempt.attempt import Attempt
from worker.attempt.loads import Loads
from worker.engine.engine import Engine


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

    def make(self, attempt: Attempt, nearly_made: Callable[[], None]) -> Attempt:
        """Make the picture; `nearly_made` is called once it is denoised, or a little before.

        Raises:
            CancelledError, LostClaimError, AttemptStoppedError: as `Heartbeat.advance` does.
            GenerationError: as `Engine.make` does.
        """
        spec = attempt.claim.spec

        def on_step(step: int) -> None:
            attempt.heartbeat.advance(step)
            # Some schedulers take more steps than they were asked for.
            if step >= spec.steps:
                nearly_made()

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
