"""The boot of a worker process: takes the device, loads, warms up, and only then lets Celery take jobs.

Imported after `worker.program` has made ready for torch, diffusers and transformers, which come with it.
"""

import os
import platform
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack
from datetime import datetime
from importlib.metadata import version
from typing import Any

import psutil
from celery import bootsteps
from celery.worker import state

from models.figures.progress import has_work
from models.pictures.store import PictureStore
from models.records.boots import Machine, mark_ended, mark_ready, note_waiting, record_boot
from models.records.database import Database
from models.records.rescue import Rescued, ended_attempts, rescue
from models.records.trainings.segments import rescue_segments
from models.settings import Settings, load_settings, told_by_env_file, unknown_names
from models.training.place import place_of
from models.types.clock import now
from models.types.errors import DatabaseError, DeviceFaultError, NightshiftError
from models.types.exit_status import ExitStatus
from models.types.identity import Weights
from models.types.job import JobSpec
from worker.attempt.claiming import Claimer
from worker.attempt.finishing import Finisher
from worker.attempt.judging import Judge
from worker.attempt.making import Loads, Maker
from worker.attempt.pipeline import Pipeline
from worker.attempt.runner import AttemptRunner
from worker.attempt.saving import Saver
from worker.attempt.settling import Settler
from worker.attempt.unrecorded import record_noted
from worker.care.awake import Awake
from worker.care.breaker import Breaker
from worker.care.device_lock import DeviceLock
from worker.care.duties import DatabaseWatch, Duties
from worker.care.in_hand import InHand
from worker.care.limits import UsualTimes
from worker.care.memory_guard import MemoryGuard
from worker.care.pausing import PauseWatch
from worker.care.publisher import Publisher
from worker.care.retrying import Retrier
from worker.care.watches.idle_watch import IdleWatch
from worker.care.watches.watchdog import Watchdog
from worker.composition import Parts
from worker.engine.devices.chip import chip
from worker.engine.devices.device import Device
from worker.engine.devices.registry import choose_device
from worker.engine.engine import Engine
from worker.engine.memory import memory_sources
from worker.engine.threads import leave_processors_to_others, number_of_threads
from worker.events import Event
from worker.log import event, identify, log
from worker.queue.deliveries import Deliveries
from worker.queue.messages_for_others import MessagesForOthers
from worker.queue.publishing import messages_waiting
from worker.segment.claiming import SegmentClaimer
from worker.segment.files import TrainingFiles
from worker.segment.heartbeat import SegmentHeartbeat
from worker.segment.runner import SegmentRunner
from worker.segment.settling import SegmentSettler
from worker.task import GenerateTask
from worker.telemetry.telemetry import Telemetry

_LOOK_S = 0.2
#: Shorter than elsewhere: a worker waits by trying again, and between two tries it can be told to end.
_BUSY_TIMEOUT_S = 5.0
_LIBRARIES = ("nightshift", "torch", "diffusers", "transformers", "celery", "kombu")


class Boot(bootsteps.StartStopStep):
    """Celery starts its consumer after this step, so no job is taken before the pipeline is warm."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **_options: Any) -> None:
        self._shutdown = parent.told
        self._retrier = Retrier(parent.told)
        self._lock: DeviceLock | None = None
        self._boot_id: int | None = None
        self._database: Database | None = None
        self._judge: Judge | None = None
        self._finisher: Finisher | None = None
        self._duties: Duties | None = None
        self._awake: Awake | None = None
        self._telemetry: Telemetry | None = None
        self._watchdog: Watchdog | None = None

    def start(self, parent: Any) -> None:
        """Load and warm up on the pool's thread, which owns the device from then on."""
        limit_s = load_settings().hang_s
        self._watchdog = Watchdog(limit_s)
        self._watchdog.start()
        loading: Future[None] = parent.pool.executor.submit(self._boot, parent, load_settings())
        waited_s = 0.0
        # Looks are counted, not time: a process that was frozen for an hour has not hung for one.
        while not wait([loading], timeout=_LOOK_S).done:
            waited_s = 0.0 if self._retrier.waiting else waited_s + _LOOK_S
            if waited_s > limit_s or self._shutdown.at_once.is_set():
                self._leave(waited_s, limit_s)
        if loading.exception() is not None or self._shutdown.asked.is_set():
            # Celery stops no step of a program that has not started them all.
            self.stop(parent)
        try:
            loading.result()
        except DeviceFaultError as error:
            log.critical("the worker cannot start: %s", error, extra=event(Event.DEVICE_FAULTY))
            raise SystemExit(ExitStatus.DEVICE) from error
        except NightshiftError as error:
            if not self._shutdown.asked.is_set():
                log.critical("the worker cannot start: %s", error, extra=event(Event.WORKER_CANNOT_START))
                raise SystemExit(ExitStatus.CANNOT_START) from error
            log.info("ended before it was ready: %s", error, extra=event(Event.WORKER_ENDED_EARLY))
        state.maybe_shutdown()

    def stop(self, parent: Any) -> None:
        """Wait for the running job, note the end of the boot, and only then let the device go."""
        # From the last to the first, and each of them whatever becomes of those before.
        with ExitStack() as ends:
            if self._lock is not None:
                ends.callback(self._lock.release)
            if self._watchdog is not None:
                ends.callback(self._watchdog.stop)
            ends.callback(self._note_end)
            if self._telemetry is not None:
                ends.callback(self._telemetry.close)
            if self._awake is not None:
                ends.callback(self._awake.let_go)
            if self._duties is not None:
                ends.callback(self._duties.stop)
            ends.callback(self._note_status, parent)
            if self._judge is not None:
                ends.callback(self._judge.close)
            if self._finisher is not None:
                ends.callback(self._finisher.close)
            ends.callback(parent.pool.stop)

    terminate = stop

    def _note_status(self, parent: Any) -> None:
        # The running job may have changed it since Celery was told to end.
        parent.exitcode = parent.exitcode or self._shutdown.status

    def _note_end(self) -> None:
        if self._database is None or self._boot_id is None:
            return
        try:
            with self._database.writing() as session:
                mark_ended(session, self._boot_id)
        except DatabaseError as error:
            log.warning("the end is not recorded: %s", error, extra=event(Event.WORKER_END_NOT_RECORDED))

    def _leave(self, waited_s: float, limit_s: float) -> None:
        """End the process while it loads: the thread that does so cannot be ended, and holds no job."""
        if waited_s > limit_s:
            log.critical(
                "not loaded after %.0f s: the device hangs, and the worker ends itself",
                waited_s,
                extra=event(Event.WORKER_HUNG),
            )
            os._exit(ExitStatus.HUNG)
        self._note_end()
        log.info("ended while loading", extra=event(Event.WORKER_ENDED_EARLY))
        os._exit(ExitStatus.DONE)

    def _boot(self, program: Any, settings: Settings) -> None:
        app = program.app
        parts: Parts = program.parts
        shutdown = self._shutdown
        device = choose_device(settings.device, settings.dtype, parts.devices)
        if device.kind == "cpu":
            leave_processors_to_others(program.processors)
        retrier = self._retrier
        database = self._database = retrier.until_free(lambda: parts.database(settings.database, _BUSY_TIMEOUT_S))
        self._lock = DeviceLock(device, settings.data_dir)
        machine = _machine(device, self._lock.uid, settings.queue_names)
        started_at = now()
        pictures = parts.pictures(settings)
        retrier.until_free(pictures.check)
        boot_id, recorded, rescued, put_back = retrier.until_free(
            lambda: _begin(database, machine, pictures, settings, started_at)
        )
        self._boot_id = boot_id
        identify(boot_id)
        retrier.tell(lambda what: _note_waiting(database, boot_id, what))
        self._telemetry = Telemetry(settings, database, device, boot_id)
        if recorded:
            log.warning(
                "recorded %d pictures that an earlier worker had made",
                len(recorded),
                extra=event(Event.PICTURES_RECORDED),
            )
        if rescued.queued:
            log.warning(
                "put back %d jobs that an earlier worker left running",
                len(rescued.queued),
                extra=event(Event.JOBS_RESCUED),
            )
        for job_id in rescued.quarantined:
            log.error(
                "job %d is set aside: its worker went away %d times while it ran",
                job_id,
                settings.quarantine_after,
                extra=event(Event.JOB_QUARANTINED, job=job_id),
            )
        _tell_of_trainings(put_back)
        _clear_away(database, pictures)
        if (told := told_by_env_file()) is not None:
            log.warning("%s", told, extra=event(Event.SETTING_FROM_ENV_FILE))
        for said in unknown_names():
            log.warning("%s; it is not looked at", said, extra=event(Event.SETTING_UNKNOWN))
        if not settings.safety_checker:
            log.info(
                "the safety checker is off; NIGHTSHIFT_SAFETY_CHECKER=true turns it on",
                extra=event(Event.SAFETY_CHECKER_OFF),
            )
        engine = parts.engine(device, settings)
        loads = Loads(database, boot_id, retrier.until_done)
        loads.number_of(engine.use(Weights(settings.checkpoint)))
        in_hand = InHand()
        publisher = Publisher(app, database)
        maker = Maker(engine, loads)
        # It gives up well before the jobs that wait for it are taken to hang.
        self._judge = parts.judge(database, retrier, parts.examiner(settings.hang_s / 2))
        pipeline = Pipeline.of(
            maker,
            Saver(pictures, retrier),
            self._judge,
            Settler(database, pictures, settings, retrier, boot_id),
            parts.tell,
            *self._telemetry.each,
            lambda attempt: publisher.publish_replacement(attempt.replaced_by),
        )
        self._finisher = Finisher(pipeline, in_hand, shutdown)
        pause = PauseWatch(database, settings, retrier, shutdown)
        guard = MemoryGuard(engine, loads.number_of, database, settings, boot_id)
        breaker = Breaker(settings.faults_in_a_row, shutdown)
        claimer = Claimer(
            database,
            settings,
            retrier,
            shutdown,
            pause,
            boot_id,
            in_hand,
            maker.rest,
            lambda spec, waiting: _most_together(engine, spec, waiting, settings),
        )
        runner = AttemptRunner(
            pipeline,
            self._finisher,
            guard,
            breaker,
            in_hand=in_hand,
            heartbeat=lambda claims, usual_limit_s: parts.heartbeat(
                database, claims, settings, shutdown, retrier, usual_limit_s
            ),
            usual_times=UsualTimes(settings),
            shutdown=shutdown,
        )
        place = retrier.until_free(lambda: place_of(settings.data_dir))
        segments = SegmentRunner(
            SegmentClaimer(database, retrier, shutdown, boot_id, place, pause),
            engine,
            parts.segment_trainer(engine, settings, retrier, shutdown),
            SegmentSettler(database, settings, retrier),
            guard,
            breaker,
            heartbeat=lambda claim: SegmentHeartbeat(database, claim, settings, shutdown, retrier),
            files=lambda name: TrainingFiles(settings, name),
            afterwards=[
                *self._telemetry.each_segment,
                lambda ended: publisher.publish_next_segment(ended.claim.training_id, ended.claim.uid),
            ],
            shutdown=shutdown,
        )
        # Celery's own tasks are for results and workflows: a message that names one is nobody's here.
        for name in list(app.tasks):
            app.tasks.unregister(name)
        # Celery looks for its classes in files, and would do so with the first message.
        assert app.backend is not None
        deliveries = Deliveries()
        for_others = MessagesForOthers(app, settings.heartbeat_s, shutdown)
        queues = settings.queue_names
        app.register_task(GenerateTask(claimer, runner, segments, for_others, deliveries, shutdown, queues))
        if count := retrier.until_free(publisher.publish_all):
            log.info("published %d jobs that were not on the queue", count, extra=event(Event.JOBS_PUBLISHED))
        retrier.until_free(lambda: _mark_ready(database, boot_id))
        sweep = parts.sweep(app, database, settings, boot_id, in_hand, deliveries)
        idle_watch = IdleWatch(
            settings.idle_s,
            deliveries,
            lambda: messages_waiting(app, settings.queue_names),
            program.connect_anew,
            shutdown,
        )
        duties = [DatabaseWatch(database, shutdown).look, sweep.look, idle_watch.look]
        if settings.keep_awake:
            self._awake = Awake(lambda: _has_work(database, boot_id, settings.queue_names, place))
            duties.append(self._awake.look)
        self._duties = Duties(duties, settings.heartbeat_s)
        self._duties.start()
        log.info("ready for jobs on %s (%s)", device.name, device.describe(), extra=event(Event.WORKER_READY))


def _begin(
    database: Database, machine: Machine, pictures: PictureStore, settings: Settings, started_at: datetime
) -> tuple[int, list[int], Rescued, list[str]]:
    """Record the boot and what earlier ones on the device made, and put back what else they left running.

    Returns the boot's number, the pictures that were recorded, the jobs that were put back, and trainings by name.
    """
    with database.writing() as session:
        boot_id = record_boot(session, machine, started_at)
        recorded = record_noted(session, boot_id, pictures)
        rescued = rescue(session, boot_id, settings.tries)
        return boot_id, recorded, rescued, rescue_segments(session, boot_id, settings.tries)


def _tell_of_trainings(names: Sequence[str]) -> None:
    if names:
        log.warning(
            "put back trainings that an earlier worker left running: %s",
            ", ".join(names),
            extra=event(Event.TRAININGS_RESCUED),
        )


def _most_together(engine: Engine, spec: JobSpec, waiting: Callable[[], int], settings: Settings) -> int:
    # A job that takes its worker down costs the others of its call a loss each, which must not be their last.
    return engine.most_together(spec, waiting) if settings.quarantine_after > 1 else 1


def _mark_ready(database: Database, boot_id: int) -> None:
    with database.writing() as session:
        mark_ready(session, boot_id)


def _note_waiting(database: Database, boot_id: int, what: str | None) -> None:
    """Have `producer status` say what is waited for, unless it is the database itself that does not work."""
    try:
        with database.writing() as session:
            note_waiting(session, boot_id, what)
    except DatabaseError as error:
        log.debug("not noted: %s", error)


def _has_work(database: Database, boot_id: int, queues: Sequence[str], place: str) -> bool:
    with database.reading() as session:
        return has_work(session, boot_id, queues, place)


def _machine(device: Device, lock_uid: str, queues: Sequence[str]) -> Machine:
    return Machine(
        host=socket.gethostname(),
        pid=os.getpid(),
        lock_uid=lock_uid,
        device=device.name,
        device_name=device.describe(),
        chip=chip(),
        threads=number_of_threads(),
        dtype=device.dtype_name,
        memory_total_bytes=psutil.virtual_memory().total,
        versions={"system": platform.platform(), "python": platform.python_version()}
        | {library: version(library) for library in _LIBRARIES},
        memory_sources=memory_sources(device),
        queues=queues,
    )


def _clear_away(database: Database, pictures: PictureStore) -> None:
    """Remove what attempts left aside that are over."""
    found = pictures.asides()
    with database.reading() as session:
        over = ended_attempts(session, found)
    for attempt_id in over:
        found[attempt_id].remove()
