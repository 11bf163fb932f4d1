"""What a worker tells of itself, as far as its settings ask for it."""

import socket
from collections.abc import Callable
from contextlib import ExitStack

from models.records.database import Database
from models.settings import Settings
from models.types.errors import SettingsError
from worker.attempt.attempt import Attempt
from worker.engine.devices.device import Device
from worker.queue.traces import Traces
from worker.segment.ended import EndedSegment
from worker.telemetry.tracing import Tracing


class Telemetry:
    """Figures for Prometheus and traces for OpenTelemetry, of one boot."""

    def __init__(self, settings: Settings, database: Database, device: Device, boot_id: int) -> None:
        """Begin.

        Raises:
            SettingsError: what the settings ask for is not installed, or cannot be served.
        """
        #: To be called with each attempt that has ended.
        self.each: list[Callable[[Attempt], object]] = []
        #: The same with each segment of a training.
        self.each_segment: list[Callable[[EndedSegment], object]] = []
        self._ends = ExitStack()
        if settings.metrics:
            try:
                from worker.telemetry.metrics import Metrics
            except ModuleNotFoundError as error:
                if not (error.name or "").startswith("prometheus_client"):
                    raise
                raise SettingsError(
                    "NIGHTSHIFT_METRICS needs its library: pip install 'nightshift[metrics]'"
                ) from error
            metrics = Metrics(settings.metrics, database, device, boot_id)
            self._ends.callback(metrics.close)
            self.each.append(metrics.count)
            self.each_segment.append(metrics.count_segment)
        if settings.traces:
            traces = Traces(settings.traces, "nightshift-worker")
            self._ends.callback(traces.close)
            about = {
                "nightshift.boot": boot_id,
                "nightshift.device": device.describe(),
                "host.name": socket.gethostname(),
            }
            tracing = Tracing(traces, about)
            self.each.append(tracing.trace)
            self.each_segment.append(tracing.trace_segment)

    def close(self) -> None:
        """Tell nothing any more; what waits to be sent is sent first."""
        self._ends.close()
