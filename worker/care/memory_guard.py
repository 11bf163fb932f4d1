"""The memory guard: for nights of work, in which a small leak fills a machine's memory.

What counts is the memory that the worker holds: its resident memory (on macOS its footprint), or what the driver holds
for it where that is more and is the machine's own (what lies in both must not count twice), and what the machine's
swap has grown by since the boot's first job. macOS compresses and swaps what a process leaves alone, so that a leak
shows there while resident memory stays as it was.
"""

import gc
import time
from collections.abc import Callable

import psutil

from models.figures.memory_trend import SETTLING_JOBS
from models.records.boots import record_guard_action
from models.records.database import Database
from models.settings import Settings
from models.types.errors import CheckpointError, DatabaseError, DeviceFaultError, GenerationError
from models.types.exit_status import ExitStatus
from models.types.measurement import LoadMeasurement, MemoryReading
from models.types.states import GuardStep
from worker.engine.devices.device import Device
from worker.engine.engine import Engine
from worker.engine.memory import read_memory
from worker.events import Event
from worker.log import event, gigabytes, log

#: Of the machine's memory, where the settings name no limit: the system and its windows need the rest.
_SHARE = 0.75
#: What the limit leaves over the memory that the work itself takes, as a factor: no step gives that back.
_ROOM = 1.1
_DONE = {GuardStep.EMPTY_CACHES: "emptied caches", GuardStep.RELOAD: "loaded the checkpoint anew"}


class MemoryGuard:
    """Brings down the memory of one boot between two jobs, by the cheapest step that lasts.

    Nothing is done over the boot's first jobs, which show what the work itself takes. A step that was taken fewer jobs
    ago than that did not last, so the next one is taken instead of it. Both keep a limit that is too low, or swap that
    another program causes, from costing a step after every job or a restart every few.
    """

    def __init__(
        self,
        engine: Engine,
        record_load: Callable[[LoadMeasurement], object],
        database: Database,
        settings: Settings,
        boot_id: int,
    ) -> None:
        """Have loads that it causes recorded by `record_load`."""
        self._engine = engine
        self._record_load = record_load
        self._database = database
        self._on = settings.memory_guard
        self._boot_id = boot_id
        self._limit = round(settings.memory_limit_gb * 1e9) or _usual_limit(engine.device)
        self._jobs = 0
        self._first_swap: int | None = None
        self._needed = 0
        #: Number of the job after which each step was last taken.
        self._taken: dict[GuardStep, int] = {}

    def after_job(self, reading: MemoryReading) -> GuardStep | None:
        """Bring memory down if `reading`, made after the job, is past the limit; return the last step taken.

        After `GuardStep.RESTART` the worker must end with `ExitStatus.MEMORY`.
        """
        if not self._on or GuardStep.RESTART in self._taken:
            return None
        self._jobs += 1
        held = self._held(reading)
        if self._jobs <= SETTLING_JOBS:
            self._settle(held)
            return None
        if held <= self._limit:
            return None
        try:
            for step in (GuardStep.EMPTY_CACHES, GuardStep.RELOAD):
                if self._jobs - self._taken.get(step, 0) < SETTLING_JOBS:
                    continue
                held = self._take(step, held)
                if held <= self._limit:
                    return step
        except (CheckpointError, DeviceFaultError, GenerationError) as error:
            # The engine is empty now, which a new process says at its start, before it fails every job of the night.
            log.error(
                "memory guard: the checkpoint could not be loaded anew: %s",
                error,
                extra=event(Event.GUARD_RELOAD_FAILED),
            )
        self._restart(held)
        return GuardStep.RESTART

    def _held(self, reading: MemoryReading) -> int:
        """Return the bytes that the worker holds."""
        if self._first_swap is None:
            self._first_swap = reading.swap
        swapped = 0 if reading.swap is None or self._first_swap is None else max(0, reading.swap - self._first_swap)
        driver = reading.device_driver if self._engine.device.shares_memory else None
        return max(reading.rss or 0, driver or 0) + swapped

    def _settle(self, held: int) -> None:
        """Learn what the work takes; a limit below that is raised, with one line that says so."""
        self._needed = max(self._needed, held)
        if self._jobs == SETTLING_JOBS and self._needed * _ROOM > self._limit:
            asked, self._limit = self._limit, round(self._needed * _ROOM)
            log.warning(
                "memory guard: the limit of %s is below the %s that these jobs need and a tenth to spare; it acts past "
                "%s instead (NIGHTSHIFT_MEMORY_LIMIT_GB)",
                gigabytes(asked),
                gigabytes(self._needed),
                gigabytes(self._limit),
                extra=event(Event.GUARD_LIMIT_RAISED),
            )

    def _take(self, step: GuardStep, before: int) -> int:
        """Take a step, record it, and return the bytes held after it."""
        device = self._engine.device
        device.synchronize()
        begun = time.perf_counter()
        if step is GuardStep.RELOAD:
            if (load := self._engine.reload()) is not None:
                self._record_load(load)
        else:
            # In this order: what is collected leaves its blocks in the cache.
            gc.collect()
            device.empty_cache()
        device.synchronize()
        cost_s = time.perf_counter() - begun
        after = self._held(read_memory(device))
        self._note(step, before, after, cost_s)
        log.warning(
            "memory guard: %s held, more than %s: %s in %.2f s, now %s",
            gigabytes(before),
            gigabytes(self._limit),
            _DONE[step],
            cost_s,
            gigabytes(after),
            extra=event(Event.GUARD_STEP, step=step, held_before_bytes=before, held_after_bytes=after, cost_s=cost_s),
        )
        return after

    def _restart(self, held: int) -> None:
        self._note(GuardStep.RESTART, held)
        log.warning(
            "memory guard: %s held, more than %s: the worker ends with status %d, to be started anew; no job is lost",
            gigabytes(held),
            gigabytes(self._limit),
            ExitStatus.MEMORY,
            extra=event(Event.GUARD_RESTART, step=GuardStep.RESTART, held_before_bytes=held),
        )

    def _note(self, step: GuardStep, before: int, after: int | None = None, cost_s: float | None = None) -> None:
        self._taken[step] = self._jobs
        try:
            with self._database.writing() as session:
                record_guard_action(
                    session,
                    self._boot_id,
                    step,
                    held_before_bytes=before,
                    held_after_bytes=after,
                    limit_bytes=self._limit,
                    cost_s=cost_s,
                )
        except DatabaseError as error:
            # The log has it too, and the night goes on.
            log.warning("memory guard: not recorded: %s", error, extra=event(Event.GUARD_NOT_RECORDED))


def _usual_limit(device: Device) -> int:
    """Return the limit in bytes where the settings name none."""
    of_the_machine = round(_SHARE * psutil.virtual_memory().total)
    recommended = device.recommended_bytes()
    return of_the_machine if recommended is None else min(of_the_machine, recommended)
