"""Traces by OpenTelemetry, from the queue to the row: one a job or training, whose ids follow from what it is called.

So whoever knows batch and job knows the trace, and nothing has to be carried from the producer to the worker that makes
the job, which may come to it by another job's message.
"""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from models.types.errors import SettingsError
from models.types.message import JobMessage, SegmentMessage
from worker.events import Event
from worker.log import event, log

if TYPE_CHECKING:
    from opentelemetry.trace import Span

#: Seconds that a collector may take, and for which one that failed is left alone.
_PATIENCE_S, _LEFT_ALONE_S = 3.0, 60.0
_SAMPLED = 1
_TRACE_BYTES, _SPAN_BYTES = 16, 8

#: What has a trace.
Message = JobMessage | SegmentMessage


def ids_of(message: Message) -> tuple[int, int]:
    """Return the ids of a job's trace, or of a training's, and of its first span."""
    parts = (message.batch, message.job) if isinstance(message, JobMessage) else (message.uid, message.training)
    digest = hashlib.sha256("{}-{}".format(*parts).encode()).digest()
    trace, span = digest[:_TRACE_BYTES], digest[_TRACE_BYTES : _TRACE_BYTES + _SPAN_BYTES]
    return int.from_bytes(trace), int.from_bytes(span)


def traceparent(message: Message) -> str:
    """Return the header by which other programs know the trace: https://www.w3.org/TR/trace-context/."""
    trace, span = ids_of(message)
    return f"00-{trace:032x}-{span:016x}-{_SAMPLED:02x}"


class Traces:
    """Sends spans to a collector that speaks OTLP over HTTP; one that is away is told of once, and costs no more."""

    def __init__(self, endpoint: str, service: str) -> None:
        """Begin; `service` says which program the spans are of.

        Raises:
            SettingsError: the libraries are not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
            from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("opentelemetry"):
                raise
            raise SettingsError("NIGHTSHIFT_TRACES needs its library: pip install 'nightshift[traces]'") from error

        class Patient(SpanExporter):
            """An exporter that leaves a collector alone that is away."""

            def __init__(self, exporter: SpanExporter) -> None:
                self._exporter = exporter
                self._failed_at: float | None = None

            def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
                if self._failed_at is not None and time.monotonic() - self._failed_at < _LEFT_ALONE_S:
                    return SpanExportResult.FAILURE
                result = self._exporter.export(spans)
                if result is SpanExportResult.SUCCESS:
                    self._failed_at = None
                else:
                    if self._failed_at is None:
                        log.warning(
                            "traces are lost: the collector at %s does not take them",
                            endpoint,
                            extra=event(Event.TRACES_LOST),
                        )
                    self._failed_at = time.monotonic()
                return result

            def shutdown(self) -> None:
                self._exporter.shutdown()

        class Ids(RandomIdGenerator):
            """Gives the next span the ids that it was told."""

            following: tuple[int, int] | None = None

            def generate_trace_id(self) -> int:
                return self.following[0] if self.following else super().generate_trace_id()

            def generate_span_id(self) -> int:
                return self.following[1] if self.following else super().generate_span_id()

        # What it says of a collector that is away is said above, once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._ids = Ids()
        resource = Resource.create({"service.name": service, "service.version": version("nightshift")})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_PATIENCE_S)
        self._provider.add_span_processor(BatchSpanProcessor(Patient(exporter)))
        self._tracer = self._provider.get_tracer("nightshift")

    def begin(self, message: Message, name: str, start: datetime, end: datetime, about: Mapping[str, object]) -> None:
        """Send the first span of a trace."""
        self._ids.following = ids_of(message)
        try:
            span = self._tracer.start_span(name, start_time=_ns(start), attributes=_attributes(about))
        finally:
            self._ids.following = None
        span.end(_ns(end))

    def follow(self, message: Message, name: str, start: datetime, about: Mapping[str, object]) -> "Span":
        """Return a span below the first one; to be ended."""
        from opentelemetry import trace

        above = trace.SpanContext(*ids_of(message), is_remote=True, trace_flags=trace.TraceFlags(_SAMPLED))
        context = trace.set_span_in_context(trace.NonRecordingSpan(above))
        return self._tracer.start_span(name, context, start_time=_ns(start), attributes=_attributes(about))

    def part(self, above: "Span", name: str, start: datetime, end: datetime) -> None:
        """Send a span below another."""
        from opentelemetry import trace

        span = self._tracer.start_span(name, trace.set_span_in_context(above), start_time=_ns(start))
        span.end(_ns(end))

    def end(self, span: "Span", at: datetime, error: str | None) -> None:
        """End a span, and say what went wrong, if anything did."""
        if error is not None:
            from opentelemetry.trace import StatusCode

            span.set_status(StatusCode.ERROR, error)
        span.end(_ns(at))

    def send(self) -> None:
        """Send what waits to be sent."""
        self._provider.force_flush(int(_PATIENCE_S * 1000))

    def close(self) -> None:
        """Send the rest, and end."""
        self.send()
        self._provider.shutdown()


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1e9)


def _attributes(about: Mapping[str, object]) -> dict[str, str | int | float | bool]:
    return {
        name: value if isinstance(value, str | int | float | bool) else str(value)
        for name, value in about.items()
        if value is not None
    }
