"""The steps of an attempt that need the device: have the weights in memory, make the picture."""

import time
from dataclasses import replace

from worker.attempt import Attempt
from worker.engine import Engine
from worker.loads import Loads


class Maker:
    """Makes pictures with an engine, on the thread that owns the device."""

    def __init__(self, engine: Engine, loads: Loads) -> None:
        self._engine = engine
        self._loads = loads

    def prepare(self, attempt: Attempt) -> Attempt:
        """Have what the job needs in memory; a switch is a load of its own, and no part of the picture.

        Raises:
            CheckpointError, GenerationError: as `Engine.use` does.
            DatabaseError: the worker was told to end before the load could be recorded.
        """
        load = self._engine.use(attempt.claim.spec.weights)
        return replace(attempt, load=load, load_id=self._loads.number_of(load))

    def make(self, attempt: Attempt) -> Attempt:
        """Make the picture.

        Raises:
            CancelledError, LostClaimError, AttemptStoppedError: as `Heartbeat.advance` does.
            GenerationError: as `Engine.make` does.
        """
        attempt.heartbeat.begin()
        begun = time.perf_counter()
        made, measured = self._engine.make(attempt.claim.spec, attempt.heartbeat.advance)
        return replace(attempt, picture=made.picture, measured=measured, made_s=time.perf_counter() - begun)
