"""A worker's figures for Prometheus, while it runs: what became of attempts, how long it took, memory, what waits."""

import logging
import socket
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from models.figures.progress import waiting_jobs, waiting_trainings
from models.records.database import Database
from models.types.errors import DatabaseError, SettingsError
from models.types.measurement import PARTS
from models.types.states import Outcome
from worker.attempt.attempt import Attempt
from worker.engine.devices.device import Device
from worker.engine.memory import read_memory
from worker.events import Event
from worker.log import log
from worker.segment.ended import EndedSegment

#: Seconds: from a part of a small picture on a GPU to a large picture on a CPU.
_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600)


class Metrics:
    """The figures of one boot, and the server that gives them out."""

    def __init__(self, address: str, database: Database, device: Device, boot_id: int) -> None:
        """Begin to serve them at `address`, which is HOST:PORT.

        Raises:
            SettingsError: nothing can listen there.
        """
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("nightshift_worker", "Of which worker these figures are", registry=registry).info(
            {
                "boot": str(boot_id),
                "device": device.name,
                "device_name": device.describe(),
                "host": socket.gethostname(),
                "version": version("nightshift"),
            }
        )
        self._attempts = Counter(
            "nightshift_attempts", "Attempts that ended, by outcome and cause", ["outcome", "cause"], registry=registry
        )
        self._pictures = Counter(
            "nightshift_pictures", "Pictures that were recorded, by what checks say", ["verdict"], registry=registry
        )
        self._rejections = Counter(
            "nightshift_rejections", "How often a check was against a picture", ["check"], registry=registry
        )
        self._replacements = Counter("nightshift_replacements", "Jobs queued to stand in for others", registry=registry)
        self._seconds = Histogram(
            "nightshift_picture_seconds", "Device time of a picture", buckets=_BUCKETS, registry=registry
        )
        self._part_seconds = Histogram(
            "nightshift_part_seconds", "Time of each part of a picture", ["part"], buckets=_BUCKETS, registry=registry
        )
        self._wait_seconds = Histogram(
            "nightshift_queue_wait_seconds",
            "Time from being queued to being claimed",
            buckets=(1, 10, 60, 600, 3_600, 6 * 3_600, 24 * 3_600),
            registry=registry,
        )
        self._segments = Counter(
            "nightshift_segments",
            "Segments of trainings that ended, by outcome and cause",
            ["outcome", "cause"],
            registry=registry,
        )
        self._steps = Counter("nightshift_training_steps", "Steps of trainings that were recorded", registry=registry)
        self._step_seconds = Histogram(
            "nightshift_training_step_seconds",
            "Steady time of a step, a value for each segment",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._last = Gauge(
            "nightshift_last_picture_timestamp_seconds", "When the last picture was recorded", registry=registry
        )
        events = Counter("nightshift_log_events", "Lines of the log, by event", ["event"], registry=registry)
        for verdict in ("accepted", "rejected"):
            self._pictures.labels(verdict)
        for part in PARTS:
            self._part_seconds.labels(part)
        for event in Event:
            events.labels(event)
        registry.register(_AtScrape(database, device))
        self._counter = _EventCounter(events)
        log.addHandler(self._counter)
        host, _, port = address.rpartition(":")
        try:
            self._server, self._thread = start_http_server(int(port), host.strip("[]"), registry)
        except (OSError, OverflowError) as error:
            log.removeHandler(self._counter)
            raise SettingsError(f"NIGHTSHIFT_METRICS={address}: nothing can listen there ({error})") from error

    def count(self, attempt: Attempt) -> None:
        """Count an attempt that has ended."""
        measured = attempt.measured
        outcome = attempt.outcome if attempt.is_owned else "disowned"
        self._attempts.labels(outcome, attempt.cause or "").inc()
        if attempt.claim.queue_wait_s is not None:
            self._wait_seconds.observe(attempt.claim.queue_wait_s)
        if attempt.replaced_by is not None:
            self._replacements.inc()
        if outcome != Outcome.SUCCEEDED:
            return
        self._pictures.labels("rejected" if attempt.is_rejected else "accepted").inc()
        self._last.set_to_current_time()
        for finding in attempt.findings:
            if not finding.passed:
                self._rejections.labels(finding.check).inc()
        if measured.total_s is not None:
            self._seconds.observe(measured.total_s)
        for part in PARTS:
            seconds = getattr(measured.timings, f"{part}_s")
            if seconds is not None:
                self._part_seconds.labels(part).observe(seconds)

    def count_segment(self, ended: EndedSegment) -> None:
        """Count a segment of a training that has ended."""
        self._segments.labels(ended.outcome, ended.result.cause or "").inc()
        self._steps.inc(ended.steps)
        if ended.steps and ended.result.measured.step_s is not None:
            self._step_seconds.observe(ended.result.measured.step_s)

    def close(self) -> None:
        """Serve nothing any more."""
        log.removeHandler(self._counter)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _EventCounter(logging.Handler):
    """Counts what the log tells of; what is below its level it does not tell."""

    def __init__(self, events: Counter) -> None:
        super().__init__()
        self._events = events

    def emit(self, record: logging.LogRecord) -> None:
        if (event := getattr(record, "event", None)) is not None:
            self._events.labels(event).inc()


class _AtScrape(Collector):
    """What is read when somebody asks."""

    def __init__(self, database: Database, device: Device) -> None:
        self._database = database
        self._device = device

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        memory = GaugeMetricFamily("nightshift_memory_bytes", "Memory at this moment, by kind", labels=["kind"])
        for kind, value in asdict(read_memory(self._device)).items():
            if value is not None:
                memory.add_metric([kind], value)
        yield memory
        waiting = GaugeMetricFamily("nightshift_jobs_waiting", "Jobs that wait", labels=["queue", "priority"])
        jobs: dict[tuple[str, int], int] = {}
        trainings: dict[tuple[str, int], int] = {}
        is_up = True
        try:
            with self._database.reading() as session:
                jobs, trainings = waiting_jobs(session), waiting_trainings(session)
        except DatabaseError:
            is_up = False
        for (queue, priority), count in jobs.items():
            waiting.add_metric([queue, str(priority)], count)
        yield waiting
        to_train = GaugeMetricFamily(
            "nightshift_trainings_waiting", "Trainings that wait", labels=["queue", "priority"]
        )
        for (queue, priority), count in trainings.items():
            to_train.add_metric([queue, str(priority)], count)
        yield to_train
        yield GaugeMetricFamily(
            "nightshift_database_up", "Whether the database could be read for this answer", value=is_up
        )
